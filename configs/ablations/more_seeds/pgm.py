"""Rows of PGM's grid that one seed leaves open: by which rule a batch moves the memories in the second stage."""

rows = {
    "PGM": {"method": {}},
    "memories moved by means": {"method": {"update": "mean"}},
    "memories moved by each sample": {"method": {"update": "sequential"}},
}
