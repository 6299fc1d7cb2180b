"""HIL on synthetic people with the released learning rate, jitter and batch norm; sub-centres and gate for RegDB."""

_base_ = "synthetic_sysu.py"
method = {"sub_centres": 2, "tau": 0.8}
