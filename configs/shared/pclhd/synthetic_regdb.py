"""PCLHD on synthetic people in RegDB's layout."""

_base_ = "synthetic_sysu.py"
