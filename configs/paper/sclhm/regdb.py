"""SCLHM on RegDB with the batches of ADCA."""

_base_ = "sysu.py"
train = {"visible_clusters": 8}
