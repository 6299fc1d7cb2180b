"""PGM on synthetic people in RegDB's layout: as on RegDB."""

_base_ = "regdb.py"
