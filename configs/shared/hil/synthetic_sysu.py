"""HIL on synthetic people in SYSU-MM01's layout: 9 parts of 56 + 30 images a person are 2.5 of 15 + 9."""

method = {"sub_centres": 2}
