"""HIL on RegDB: fewer parts for its 10 + 10 images a person, and a stricter gate, as in the released code."""

method = {"sub_centres": 2, "tau": 0.8}
