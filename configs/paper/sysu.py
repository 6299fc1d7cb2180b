"""Base of the papers' settings for SYSU-MM01: the shared setting."""

_base_ = "../shared/sysu.py"
