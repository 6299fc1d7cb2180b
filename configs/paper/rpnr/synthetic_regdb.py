"""RPNR on synthetic people with the published first stage and batch norm."""

_base_ = "synthetic_sysu.py"
