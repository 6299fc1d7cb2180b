"""DMIC on synthetic people with the paper's number of clusters per batch; neighbours as in the shared setting."""

_base_ = "../../shared/dmic/synthetic_sysu.py"
train = {"visible_clusters": 4, "infrared_clusters": 4}
