"""SCLHM on SYSU-MM01 with the batches of ADCA (yangbincv/ADCA @8d0a8cb); the settings of its paper are not public.

Stages, clustering and augmentation are also those of ADCA. The first author's code for one modality
(Emersonzc/HGCR @26d937c) has batches of 256 infrared images, too.
"""

_base_ = "../adca/sysu.py"
method = {"_delete_": True, "normalise_features": False}  # drops ADCA's normalise_rows
