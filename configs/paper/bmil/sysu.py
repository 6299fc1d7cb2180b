"""BMIL on SYSU-MM01 as published (Terminator8758/BMIL @79cc647): two GPUs.

Its defect is ``method.form=released``.
"""

encoder = {"bn_groups": 2, "non_local": True}  # each of the two GPUs had its own batch-norm statistics
augment = {"jitter": 0.5}  # the released code jitters infrared images in the first stage only
method = {"stage1_memory": "hybrid", "stage1_subset": True, "normalise_features": False}
