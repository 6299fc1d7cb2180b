"""HIL on synthetic people in SYSU-MM01's layout: 9 sub-centres for 56 + 30 images scale to 1.7 for 10 + 6.5."""

method = {"sub_centres": 2}
