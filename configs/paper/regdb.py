"""What the papers' own settings for RegDB start from: the shared one."""

_base_ = "../shared/regdb.py"
