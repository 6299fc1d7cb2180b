"""ADCA's own batches, at the size of synthetic people."""

_base_ = "sysu.py"
