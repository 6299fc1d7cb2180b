"""SPCL-ID on RegDB on PCLHD's network, with the batches of PCLHD's second stage in both; nothing of its own is public."""

_base_ = "sysu.py"
train = {"visible_clusters": 8}  # there, 4 in the first stage
