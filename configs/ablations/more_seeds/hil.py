"""HIL with more seeds: labels transferred one way, as in the released code, or both ways."""

rows = {
    "HIL": {"method": {}},
    "transfer both ways": {"method": {"transfer": "alternate"}},
}
