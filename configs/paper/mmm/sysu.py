"""MMM on SYSU-MM01 with the released network and features of its first two stages (shijiangming1/MMM @7e57d50).

The released last stage has other batches (6 x 4 images of each modality), losses and optimiser. A run has one batch
size for all stages, so that of the first two is used.
"""

encoder = {"bn_groups": 2, "non_local": True}  # each of the two GPUs had its own batch-norm statistics
method = {"normalise_features": False}
