"""PGM with more seeds: rules by which a batch updates the memories in the second stage."""

rows = {
    "PGM": {"method": {}},
    "memories moved by means": {"method": {"update": "mean"}},
    "memories moved by each sample": {"method": {"update": "sequential"}},
}
