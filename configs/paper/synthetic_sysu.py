"""What the papers' own settings for synthetic people in SYSU-MM01's layout start from: the shared one."""

_base_ = "../shared/synthetic_sysu.py"
