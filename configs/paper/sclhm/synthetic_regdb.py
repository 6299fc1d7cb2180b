"""SCLHM on synthetic people in RegDB's layout with the batches of ADCA."""

_base_ = "../adca/synthetic_regdb.py"
