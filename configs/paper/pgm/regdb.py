"""PGM on RegDB as published (zesenwu23/USL-VI-ReID @ed4a7df): 30 epochs per stage, the rate drops every 10.

The inherited settings for SYSU-MM01 also jitter infrared images; the released code does not on RegDB.
"""

_base_ = "sysu.py"
train = {"epochs": 30, "lr_step": 1 / 3, "visible_clusters": 8}
method = {"update": "sequential"}
