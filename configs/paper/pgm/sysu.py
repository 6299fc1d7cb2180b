"""PGM on SYSU-MM01 as published (zesenwu23/USL-VI-ReID @ed4a7df): infrared batches of 256, four GPUs."""

train = {"infrared_clusters": 16}
encoder = {"bn_groups": 4, "non_local": True}  # each of the four GPUs had its own batch-norm statistics
augment = {"jitter": 0.5}  # the released code jitters infrared images in the first stage only
method = {"momentum": 0.2, "normalise_features": False}
