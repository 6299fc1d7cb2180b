"""Shared setting for LLCM: as for SYSU-MM01, with the k1 that DMDL, CEIL and CLNS have for LLCM."""

_base_ = "sysu.py"
method = {"k1": 25}
