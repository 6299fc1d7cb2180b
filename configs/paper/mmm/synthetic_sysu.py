"""MMM on synthetic people with the released network and features; neighbours as in the shared setting."""

_base_ = "sysu.py"
method = {"joint_k1": 20, "joint_k2": 16}
