"""SPCL-ID on synthetic people with PCLHD's network; slots and extra images as in the shared setting."""

_base_ = "../../shared/soft_prototype/synthetic_sysu.py"
encoder = {"bn_groups": 2, "non_local": True}
method = {"normalise_features": False}
