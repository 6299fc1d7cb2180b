"""Shared setting for synthetic people in RegDB's layout."""

_base_ = "synthetic_sysu.py"
train = {"iterations": 90}
