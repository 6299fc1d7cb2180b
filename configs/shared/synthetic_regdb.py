"""Shared setting for synthetic people in RegDB's layout, with 1.8 times as many training images."""

_base_ = "synthetic_sysu.py"
train = {"iterations": 90}
