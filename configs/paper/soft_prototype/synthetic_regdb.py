"""SPCL-ID on PCLHD's network, at the size of synthetic people."""

_base_ = "synthetic_sysu.py"
