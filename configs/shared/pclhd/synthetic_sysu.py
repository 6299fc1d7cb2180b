"""PCLHD on synthetic people in SYSU-MM01's layout."""

# as k1 and k2: half the neighbours, for fewer images of a person than SYSU-MM01 has (10 visible, 6.5 infrared);
# as many slots as a batch has images of a cluster
method = {"joint_k1": 20, "joint_k2": 16, "dynamic_slots": 4}
