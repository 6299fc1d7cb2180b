"""What the papers' own settings for SYSU-MM01 start from: the shared one."""

_base_ = "../shared/sysu.py"
