"""PGM on RegDB as published (zesenwu23/USL-VI-ReID @ed4a7df): 30 epochs a stage, the rate drops every 10."""

_base_ = "sysu.py"
train = {"epochs": 30, "lr_step": 1 / 3, "visible_clusters": 8}
method = {"update": "sequential"}
