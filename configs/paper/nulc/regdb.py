"""N-ULC on RegDB as released (tengxiao14/Neighbor-guided-USL-VI-ReID @af4b43c): a smaller radius, fewer neighbours."""

_base_ = "sysu.py"
train = {"visible_clusters": 8}
method = {"eps": 0.2, "neighbours": 20}
