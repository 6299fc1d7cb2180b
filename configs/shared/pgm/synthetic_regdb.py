"""As on RegDB."""

_base_ = "regdb.py"
