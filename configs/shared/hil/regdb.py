"""HIL on RegDB: fewer sub-centres for its 10 + 10 images per person and a stricter gate, as in the released code."""

method = {"sub_centres": 2, "tau": 0.8}
