"""PCLHD on synthetic people with the published first stage."""

_base_ = "synthetic_sysu.py"
