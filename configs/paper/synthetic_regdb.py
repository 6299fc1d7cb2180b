"""What the papers' own settings for synthetic people in RegDB's layout start from: the shared one."""

_base_ = "../shared/synthetic_regdb.py"
