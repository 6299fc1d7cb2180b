"""RPNR on RegDB as published (XiangboYin/RPNR @6647f21): smaller prototypes; 4 visible clusters in both stages."""

_base_ = "sysu.py"
method = {"calibrate_members": 5}
