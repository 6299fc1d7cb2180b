"""DMIC on synthetic people in SYSU-MM01's layout."""

# half the neighbours of SYSU-MM01 (k2 from 3 to 9), for about half the images of a person or less: 15 visible,
# 9 infrared
method = {"k1": 20, "k2": 3, "joint_k2": 16}
