"""ADCA on RegDB as published (yangbincv/ADCA @8d0a8cb): batches as on SYSU-MM01."""

_base_ = "sysu.py"
train = {"visible_clusters": 8}
