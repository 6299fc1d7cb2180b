"""PCLHD's own first stage, at the size of synthetic people."""

_base_ = "synthetic_sysu.py"
