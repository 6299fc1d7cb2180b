"""ADCA's batches for SYSU-MM01, for synthetic people."""

_base_ = "sysu.py"
