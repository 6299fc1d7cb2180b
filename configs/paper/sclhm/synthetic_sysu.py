"""SCLHM on synthetic people in SYSU-MM01's layout with the batches of ADCA."""

_base_ = "sysu.py"
