"""N-ULC on SYSU-MM01 as released (tengxiao14/Neighbor-guided-USL-VI-ReID @af4b43c): infrared batches of 256, four GPUs.

The released code jitters only the channel view; here infrared images are jittered, too.
"""

train = {"infrared_clusters": 16}
encoder = {"bn_groups": 4}  # each of the four GPUs had its own batch-norm statistics
augment = {"jitter": 0.5}
method = {"momentum": 0.2, "normalise_features": False}
