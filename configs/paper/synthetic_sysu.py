"""Base of the papers' settings for synthetic people in SYSU-MM01's layout: the shared setting."""

_base_ = "../shared/synthetic_sysu.py"
