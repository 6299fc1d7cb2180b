"""HIL on RegDB as released (haonanshi0125/HIL @09c857a): 30 + 30 epochs of 50 steps, fewer centres, a stricter gate."""

_base_ = "sysu.py"
train = {"iterations": 50, "visible_clusters": 8}
method = {"sub_centres": 2, "tau": 0.8, "warmup_epochs": 30, "stage1": "sdcl"}
