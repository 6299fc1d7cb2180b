"""RPNR on synthetic people in RegDB's layout: 5 members of 10 images scale to 4 of 8; other settings as on RegDB."""

_base_ = "regdb.py"
method = {"calibrate_members": 4}
