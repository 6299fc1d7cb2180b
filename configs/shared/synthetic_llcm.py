"""Shared setting for synthetic people in LLCM's layout: as in SYSU-MM01's layout, with 10 + 8 images per person."""

_base_ = "synthetic_sysu.py"
