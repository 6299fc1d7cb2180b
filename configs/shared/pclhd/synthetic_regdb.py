"""PCLHD on synthetic people in RegDB's layout; without hard prototypes, memories are updated as in PGM on RegDB."""

_base_ = "synthetic_sysu.py"
method = {"update": "sequential"}
