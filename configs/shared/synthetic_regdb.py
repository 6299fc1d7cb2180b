"""Shared setting for synthetic people in RegDB's layout."""

_base_ = "synthetic_sysu.py"
# thermal pictures are far from the visible ones of the starting weights: the first rate lasts longer (not measured)
train = {"iterations": 40, "lr_step": 0.67}
