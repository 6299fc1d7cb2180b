"""RPNR on synthetic people with the published network and first stage."""

_base_ = "synthetic_sysu.py"
