"""Shared setting for synthetic people in SYSU-MM01's layout: minutes on two cores."""

data = {"height": 128, "width": 64}
encoder = {"name": "small"}
# the rate, how long it lasts and the share of erased boxes were chosen for `supervised`, 300 steps of a small encoder
augment = {"pad": 5, "erase": 0.25}
train = {
    "epochs": 6,
    "iterations": 50,
    "visible_clusters": 8,
    "infrared_clusters": 8,
    "instances": 4,
    "lr": 2e-3,
    "lr_step": 0.67,
}
# half the neighbours, for 10 visible and 6.5 infrared images of a person where SYSU-MM01 has 56 and 30
method = {"k1": 15, "k2": 4}
