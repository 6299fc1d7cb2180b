"""SCLHM on RegDB with the batches of ADCA."""

_base_ = "../adca/regdb.py"
