"""DMIC's own number of clusters in a batch, at the size of synthetic people; neighbours as in the shared setting."""

_base_ = "../../shared/dmic/synthetic_regdb.py"
train = {"visible_clusters": 4, "infrared_clusters": 4}
