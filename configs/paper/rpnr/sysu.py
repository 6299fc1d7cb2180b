"""RPNR on SYSU-MM01 as published (XiangboYin/RPNR @6647f21): two GPUs. Its defects are ``method.form=released``.

The release has no first stage for SYSU-MM01; that for RegDB has hard prototypes.
"""

encoder = {"bn_groups": 2, "non_local": True}  # each of the two GPUs had its own batch-norm statistics
method = {"stage1_memory": "hybrid", "normalise_features": False}
