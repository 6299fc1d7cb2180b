"""PCLHD on RegDB as published (shijiangming1/PCLHD @c1f7b24), with the second stage's batches in both stages."""

_base_ = "sysu.py"
train = {"visible_clusters": 8}  # the released code uses 4 in the first stage
