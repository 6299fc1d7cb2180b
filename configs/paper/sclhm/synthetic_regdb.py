"""SCLHM on synthetic people in RegDB's layout with the batches of ADCA."""

_base_ = "regdb.py"
