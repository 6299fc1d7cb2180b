"""MMM on RegDB with the released network, features, batches and neighbours (shijiangming1/MMM @7e57d50)."""

_base_ = "sysu.py"
train = {"visible_clusters": 8}
method = {"joint_k1": 38, "joint_k2": 18}
