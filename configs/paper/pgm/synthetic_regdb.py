"""PGM on synthetic people with the published batches, momentum and update rule for RegDB."""

_base_ = "sysu.py"
method = {"update": "sequential"}
