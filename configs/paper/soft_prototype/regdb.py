"""SPCL-ID on RegDB with PCLHD's network and the batches of its second stage; SPCL-ID's own are not public."""

_base_ = "sysu.py"
train = {"visible_clusters": 8}  # PCLHD's code uses 4 in the first stage
