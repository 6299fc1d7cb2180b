"""HIL on synthetic people with the released filter, learning rate, jitter and batch norm; sub-centres as shared."""

_base_ = "../../shared/hil/synthetic_sysu.py"
data = {"filter": "bilinear"}
train = {"lr_step": 2 / 3}
encoder = {"bn_groups": 2}
augment = {"jitter": 0.5}
