"""PGM on synthetic people with the published batches and momentum."""

_base_ = "sysu.py"
