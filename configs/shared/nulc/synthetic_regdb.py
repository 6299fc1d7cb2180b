"""N-ULC on synthetic people in RegDB's layout: twice as many neighbours as images of a person, as on RegDB."""

method = {"neighbours": 16}
