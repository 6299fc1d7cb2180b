"""Shared setting for RegDB: as for SYSU-MM01, with shorter epochs, fewer visible images and a smaller radius."""

_base_ = "sysu.py"
train = {"iterations": 100, "visible_clusters": 4}
method = {"eps": 0.3}
