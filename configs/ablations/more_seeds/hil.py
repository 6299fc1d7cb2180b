"""Rows of HIL's grid that one seed leaves open: labels transferred one way, as in the code, or both ways."""

rows = {
    "HIL": {"method": {}},
    "transfer both ways": {"method": {"transfer": "alternate"}},
}
