"""DMIC on synthetic people in RegDB's layout: eight images in each modality, ten there, and the suite's radius."""

# The suite's k1, two fifths of the paper's, and all counts with it (k2 from 2 to 4). eps as for SYSU-MM01's layout.
method = {"k1": 15, "k2": 2, "widening": 2.0, "joint_k2": 7, "narrowing": 0.7}
