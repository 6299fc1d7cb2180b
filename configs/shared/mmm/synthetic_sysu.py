"""MMM on synthetic people in SYSU-MM01's layout."""

# half the neighbours, as for k1 and k2, because a person has fewer images than in SYSU-MM01 (10 visible, 6.5 infrared)
method = {"joint_k1": 20, "joint_k2": 16}
