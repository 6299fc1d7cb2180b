"""SPCL-ID on SYSU-MM01 with PCLHD's network (shijiangming1/PCLHD @c1f7b24); SPCL-ID's own settings are not public."""

encoder = {"bn_groups": 2, "non_local": True}  # each of the two GPUs had its own batch-norm statistics
method = {"normalise_features": False}
