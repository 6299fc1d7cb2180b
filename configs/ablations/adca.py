"""ADCA without and with aggregation, then what the released code leaves as it is: our rows."""

rows = {
    "dual contrast, continued": {"method": {"aggregate": False}},
    "+ aggregation": {"method": {}},
    "threshold 0.3": {"method": {"threshold": 0.3}},
    "threshold 0.7": {"method": {"threshold": 0.7}},
    "equal shares": {"method": {"share": 0.5}},
    "rows not normalised": {"method": {"normalise_rows": False}},
}
