"""HIL on synthetic people in RegDB's layout: RegDB's parts and gate."""

method = {"sub_centres": 2, "tau": 0.8}
