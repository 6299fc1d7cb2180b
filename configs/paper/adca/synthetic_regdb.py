"""ADCA's batches for RegDB, for synthetic people."""

_base_ = "regdb.py"
