"""PCLHD on SYSU-MM01 as published (shijiangming1/PCLHD @c1f7b24): two GPUs.

Its defects are ``method.form=released``.
"""

encoder = {"bn_groups": 2, "non_local": True}  # each of the two GPUs had its own batch-norm statistics
method = {"stage1_memory": "hybrid", "normalise_features": False}
