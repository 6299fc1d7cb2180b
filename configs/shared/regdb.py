"""Shared setting for RegDB: as for SYSU-MM01, with shorter epochs, fewer visible images and a smaller radius."""

_base_ = "sysu.py"
train = {"iterations": 100, "visible_clusters": 4}
method = {"eps": 0.3, "ema_window": 0.2}  # fraction of 50 x 100 steps that keeps the decay of 0.999
