"""N-ULC on synthetic people in RegDB's layout with the released batches and momentum; neighbours as on RegDB."""

_base_ = "sysu.py"
method = {"neighbours": 16}
