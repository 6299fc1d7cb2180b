"""BMIL on synthetic people with the published first stage, network and jitter; neighbours of the shared setting."""

_base_ = "sysu.py"
method = {"joint_k1": 16, "joint_k2": 4, "subset": 1.0}
