"""Full-size batches and images, few of them: a training at full scale in a ten-minute call on one large GPU.

For measuring; what it scores says nothing of a method.
"""

data = {"height": 288, "width": 144}
encoder = {"name": "resnet50"}
train = {"epochs": 2, "iterations": 100, "visible_clusters": 8, "infrared_clusters": 8, "instances": 16, "amp": "bf16"}
method = {"warmup_epochs": None, "intra_epochs": None}  # first stages are as long
