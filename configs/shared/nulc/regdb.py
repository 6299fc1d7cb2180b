"""N-ULC on RegDB: fewer neighbours for its 10 + 10 images per person, as in the released command."""

method = {"neighbours": 20}
