"""PCLHD on synthetic people in RegDB's layout; without hard prototypes memories move as those of PGM there."""

_base_ = "synthetic_sysu.py"
method = {"update": "sequential"}
