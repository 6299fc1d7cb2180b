"""HIL on synthetic people as in SYSU-MM01's layout, with the first stage, sub-centres and gate for RegDB."""

_base_ = "synthetic_sysu.py"
method = {"sub_centres": 2, "tau": 0.8, "stage1": "sdcl"}
