"""Base of the papers' settings for synthetic people in RegDB's layout: the shared setting."""

_base_ = "../shared/synthetic_regdb.py"
