"""DMIC on RegDB, as in the paper (its eps, 0.3, is the suite's)."""

method = {"narrowing": 2 / 3, "k1": 38, "k2": 6, "widening": 2.0, "joint_k2": 18}
