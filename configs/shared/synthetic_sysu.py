"""Shared setting for synthetic people in SYSU-MM01's layout; a training takes minutes on two cores."""

data = {"height": 128, "width": 64}
encoder = {"name": "small"}
# learning rate, its step and the probability of erasing were tuned for `supervised`: 300 steps of a small encoder
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
# half the neighbours, because a person has 10 visible and 6.5 infrared images (SYSU-MM01: 56 and 30)
method = {"k1": 15, "k2": 4}
