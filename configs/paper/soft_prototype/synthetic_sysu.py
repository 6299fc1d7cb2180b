"""SPCL-ID on PCLHD's network, at the size of synthetic people; slots and images as in the shared setting."""

_base_ = "../../shared/soft_prototype/synthetic_sysu.py"
encoder = {"bn_groups": 2, "non_local": True}
method = {"normalise_features": False}
