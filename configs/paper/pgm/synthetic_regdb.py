"""PGM's own batches, momentum and update rule for RegDB, at the size of synthetic people."""

_base_ = "sysu.py"
method = {"update": "sequential"}
