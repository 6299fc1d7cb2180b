"""N-ULC on synthetic people with the released batches and momentum; neighbours as in the shared setting."""

_base_ = "sysu.py"
method = {"neighbours": 8}
