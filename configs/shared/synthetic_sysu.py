"""Shared setting for synthetic people in SYSU-MM01's layout: minutes on two cores."""

data = {"height": 128, "width": 64}
encoder = {"name": "small", "width": 16}
augment = {"pad": 5}
train = {"epochs": 6, "iterations": 50, "visible_clusters": 8, "infrared_clusters": 8, "instances": 4}
# half the neighbours; chosen for generator version 1 (15 visible and 9 infrared images of a person, now 10 and 6.5)
method = {"k1": 15, "k2": 4}
