"""DMIC on RegDB as in the paper: batches of 4 x 16 images per modality, schedule bounds for RegDB."""

_base_ = "../../shared/dmic/regdb.py"
train = {"visible_clusters": 4, "infrared_clusters": 4}
