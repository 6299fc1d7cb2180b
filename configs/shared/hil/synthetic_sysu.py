"""HIL on synthetic people in SYSU-MM01's layout: 9 parts of 56 + 30 images a person are 1.7 of 10 + 6.5."""

method = {"sub_centres": 2}
