"""PGM on RegDB as published (zesenwu23/USL-VI-ReID @ed4a7df): 30 epochs a stage, the rate drops every 10.

Jitter, which SYSU-MM01's settings bring, falls on infrared images too; in the released code it does not on RegDB.
"""

_base_ = "sysu.py"
train = {"epochs": 30, "lr_step": 1 / 3, "visible_clusters": 8}
method = {"update": "sequential"}
