"""DMIC on RegDB as in the paper, whose eps of 0.3 equals that of the shared setting."""

method = {"narrowing": 2 / 3, "k1": 38, "k2": 6, "widening": 2.0, "joint_k2": 18}
