"""SPCL-ID on SYSU-MM01 on the network of PCLHD (shijiangming1/PCLHD @c1f7b24); no setting of its paper is public."""

encoder = {"bn_groups": 2, "non_local": True}  # batch normalisation had one part on each GPU
method = {"normalise_features": False}
