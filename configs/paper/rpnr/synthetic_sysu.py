"""RPNR on synthetic people with the published first stage and batch norm; members as in the shared setting."""

_base_ = "sysu.py"
encoder = {"non_local": False}  # the starting weights of the small encoder have no such blocks
method = {"calibrate_members": 4}
