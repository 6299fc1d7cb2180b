"""Shared setting for SYSU-MM01: the common schedule of ADCA, PGM and PCLHD, with one backbone for all methods."""

data = {"height": 288, "width": 144}
encoder = {"name": "resnet50"}
train = {"epochs": 50, "iterations": 200, "visible_clusters": 8, "infrared_clusters": 8, "instances": 16}
