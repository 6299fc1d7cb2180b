"""HIL's own rate, jitter and batch normalisation at the size of synthetic people; RegDB's parts and gate."""

_base_ = "synthetic_sysu.py"
method = {"sub_centres": 2, "tau": 0.8}
