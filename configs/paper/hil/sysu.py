"""HIL on SYSU-MM01 as released (haonanshi0125/HIL @09c857a): 30 epochs of 200 steps, 30 of 100, jitter, two GPUs.

There both stages are trained by SGD, images are clustered half as often in the first, and the second has a tenth of the
first one's rate all along. Here both have Adam and begin with the same rate, which drops after two thirds of either.
"""

train = {"epochs": 30, "iterations": 100, "lr_step": 2 / 3}  # SDCL, its first stage, drops the rate every 20 epochs
encoder = {"bn_groups": 2}  # batch normalisation had one part on each GPU: plain and channel images apart
augment = {"jitter": 0.5}  # there, of plain images too, and before all else
method = {"warmup_epochs": 60}  # of 100 steps
