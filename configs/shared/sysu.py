"""Shared setting for SYSU-MM01: the schedule that ADCA, PGM and PCLHD have in common, on one backbone."""

data = {"height": 288, "width": 144}
encoder = {"name": "resnet50"}
train = {"epochs": 50, "iterations": 200, "visible_clusters": 8, "infrared_clusters": 8, "instances": 16}
