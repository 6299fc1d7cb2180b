"""PGM's own batches and momentum, at the size of synthetic people."""

_base_ = "sysu.py"
