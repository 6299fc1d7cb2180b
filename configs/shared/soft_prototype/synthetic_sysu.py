"""SPCL-ID on synthetic people in SYSU-MM01's layout."""

# half the prototypes, like half the neighbours k1, for fewer images of a person than SYSU-MM01 has;
# and a quarter of the images drawn from all, for batches of 32 images a modality instead of 128
method = {"slots": 8, "instance_extra": 8}
