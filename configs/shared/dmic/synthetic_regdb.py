"""DMIC on synthetic people in RegDB's layout: ten images in each modality, as there, and the suite's radius."""

# half the neighbours of RegDB (k2 from 3 to 6), like the suite's k1 for these images
method = {"k1": 19, "k2": 3, "widening": 2.0, "joint_k2": 9}
