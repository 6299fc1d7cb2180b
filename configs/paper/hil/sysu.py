"""HIL on SYSU-MM01 as released (haonanshi0125/HIL @09c857a): 30 + 30 epochs of 100 steps, jitter, two GPUs.

There the second stage has a tenth of the first one's learning rate; here a stage begins with the run's own.
"""

train = {"epochs": 30, "iterations": 100, "lr_step": 2 / 3}  # SDCL, its first stage, drops the rate every 20 epochs
encoder = {"bn_groups": 2}  # batch normalisation had one part on each GPU: plain and channel images apart
augment = {"jitter": 0.5}  # there, of plain images too
