"""RPNR on synthetic people in SYSU-MM01's layout: 20 members of 56 + 30 images scale to 4 of 10 + 6.5."""

method = {"calibrate_members": 4}
