"""MMM on RegDB: the released neighbours of the joint clustering."""

method = {"joint_k1": 38, "joint_k2": 18}
