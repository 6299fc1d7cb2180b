"""MMM on synthetic people in LLCM's layout: as in SYSU-MM01's layout."""

_base_ = "synthetic_sysu.py"
