"""ADCA without and with aggregation, then variations of the released code's fixed values; the rows are ours."""

rows = {
    "dual contrast, continued": {"method": {"aggregate": False}},
    "+ aggregation": {"method": {}},
    "threshold 0.3": {"method": {"threshold": 0.3}},
    "threshold 0.7": {"method": {"threshold": 0.7}},
    "equal shares": {"method": {"share": 0.5}},
    "rows not normalised": {"method": {"normalise_rows": False}},
}
