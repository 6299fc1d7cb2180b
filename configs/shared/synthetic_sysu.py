"""Shared setting for synthetic people in SYSU-MM01's layout: minutes on two cores."""

data = {"height": 128, "width": 64}
encoder = {"name": "small", "width": 16}
augment = {"pad": 5}
train = {"epochs": 6, "iterations": 50, "visible_clusters": 8, "infrared_clusters": 8, "instances": 4}
# half the neighbours, for about half the images of a person that SYSU-MM01 has (15 visible, 9 infrared)
method = {"k1": 15, "k2": 4}
