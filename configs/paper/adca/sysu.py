"""ADCA on SYSU-MM01 as published (yangbincv/ADCA @8d0a8cb): infrared batches of 256, four GPUs."""

train = {"infrared_clusters": 16}
encoder = {"bn_groups": 4}  # each of the four GPUs had its own batch-norm statistics
method = {"normalise_features": False, "normalise_rows": False}
