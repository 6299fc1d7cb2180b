"""Base of the papers' settings for RegDB: the shared setting."""

_base_ = "../shared/regdb.py"
