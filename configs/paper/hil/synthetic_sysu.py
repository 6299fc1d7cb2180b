"""HIL's own rate, jitter and batch normalisation at the size of synthetic people; parts as in the shared setting."""

_base_ = "../../shared/hil/synthetic_sysu.py"
train = {"lr_step": 2 / 3}
encoder = {"bn_groups": 2}
augment = {"jitter": 0.5}
