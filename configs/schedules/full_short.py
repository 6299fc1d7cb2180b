"""Full-size images and batches with few steps: a training at full scale in about ten minutes on one large GPU.

It is meant for speed measurements; its scores do not compare methods.
"""

data = {"height": 288, "width": 144}
encoder = {"name": "resnet50"}
train = {"epochs": 2, "iterations": 100, "visible_clusters": 8, "infrared_clusters": 8, "instances": 16, "amp": "bf16"}
method = {"warmup_epochs": None, "intra_epochs": None}  # first stages have as many epochs
