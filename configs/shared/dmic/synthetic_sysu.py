"""DMIC on synthetic people in SYSU-MM01's layout."""

# The suite's k1, three eighths of the paper's, and all counts with it (k2 from 2 to 6), for about a fifth of the
# images of a person: 10 visible, 6.5 infrared. eps narrows to 0.42 only: on features of `cluster_contrast`, fewer than
# a batch of clusters hold both modalities at 0.3.
method = {"k1": 15, "k2": 2, "widening": 3.0, "joint_k2": 12, "narrowing": 0.7}
