"""HIL on synthetic people with the released filter, rate, jitter and batch norm; RegDB's first stage and sub-centres."""

_base_ = "synthetic_sysu.py"
method = {"sub_centres": 2, "tau": 0.8, "stage1": "sdcl"}
