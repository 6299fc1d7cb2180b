"""MMM on synthetic people in RegDB's layout: half the neighbours that it has on RegDB."""

method = {"joint_k1": 19, "joint_k2": 9}
