"""HIL on synthetic people in RegDB's layout: sub-centres and gate as on RegDB."""

method = {"sub_centres": 2, "tau": 0.8}
