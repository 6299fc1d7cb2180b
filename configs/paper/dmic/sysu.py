"""DMIC on SYSU-MM01 as in the paper: batches of 4 x 16 images a modality; its other figures are the defaults."""

train = {"visible_clusters": 4, "infrared_clusters": 4}
