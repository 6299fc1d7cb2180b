"""N-ULC on synthetic people in SYSU-MM01's layout: 30 neighbours for 56 + 30 images scale to 6 for 10 + 6.5."""

method = {"neighbours": 6}
