"""SPCL-ID on RegDB on PCLHD's network, with the batches of PCLHD's second stage in both; none of its own are public."""

_base_ = "sysu.py"
train = {"visible_clusters": 8}  # there, 4 in the first stage
