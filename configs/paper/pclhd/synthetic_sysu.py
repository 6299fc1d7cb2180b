"""PCLHD on synthetic people with the published first stage; neighbours and slots as in the shared setting."""

_base_ = "sysu.py"
method = {"joint_k1": 20, "joint_k2": 16, "dynamic_slots": 4}
