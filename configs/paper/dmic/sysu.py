"""DMIC on SYSU-MM01 as in the paper: batches of 4 x 16 images per modality; its other values are the defaults."""

train = {"visible_clusters": 4, "infrared_clusters": 4}
