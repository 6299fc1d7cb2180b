"""RPNR on synthetic people with the published network and first stage; members as in the shared setting."""

_base_ = "sysu.py"
method = {"calibrate_members": 4}
