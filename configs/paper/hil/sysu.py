"""HIL on SYSU-MM01 as released (haonanshi0125/HIL @09c857a): 30 epochs of 200 steps, 30 of 100, jitter, two GPUs.

The released code trains both stages with SGD, clusters half as often in the first stage, and uses a tenth of the first
stage's learning rate in the second. Here both stages use Adam and start with the same rate, which drops after two
thirds of each stage.
"""

data = {"filter": "bilinear"}  # of training images; the released code embeds images for clustering with a bicubic one
train = {"epochs": 30, "iterations": 100, "lr_step": 2 / 3}  # SDCL, its first stage, drops the rate every 20 epochs
encoder = {"bn_groups": 2}  # each GPU had its own batch-norm statistics: one for plain, one for channel images
augment = {"jitter": 0.5}  # the released code also jitters plain images, before all other augmentations
method = {"warmup_epochs": 60}  # 60 epochs of 100 steps instead of 30 of 200
