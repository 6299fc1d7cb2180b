"""HIL on synthetic people with the released learning rate, jitter and batch norm; sub-centres of the shared setting."""

_base_ = "../../shared/hil/synthetic_sysu.py"
train = {"lr_step": 2 / 3}
encoder = {"bn_groups": 2}
augment = {"jitter": 0.5}
