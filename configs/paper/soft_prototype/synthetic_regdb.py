"""SPCL-ID on synthetic people with PCLHD's network."""

_base_ = "synthetic_sysu.py"
