"""Shared setting for synthetic people in SYSU-MM01's layout: minutes on two cores."""

data = {"height": 128, "width": 64}
encoder = {"name": "small"}
augment = {"pad": 5}
train = {"epochs": 10, "iterations": 40, "visible_clusters": 8, "infrared_clusters": 8, "instances": 4}
