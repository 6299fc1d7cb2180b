"""SPCL-ID on synthetic people in SYSU-MM01's layout."""

# half the prototypes, as half the neighbours k1, because a person has fewer images than in SYSU-MM01;
# a quarter of the extra images drawn from all, because batches have 32 images per modality instead of 128
method = {"slots": 8, "instance_extra": 8}
