"""SCLHM on SYSU-MM01 with the batches of ADCA (yangbincv/ADCA @8d0a8cb); no setting of its own paper is public.

Its stages, clustering and augmentation are ADCA's here, too; infrared batches of 256 are also those of the first
author's code for one modality (Emersonzc/HGCR @26d937c).
"""

_base_ = "../adca/sysu.py"
method = {"_delete_": True, "normalise_features": False}  # ADCA also says how it aggregates
