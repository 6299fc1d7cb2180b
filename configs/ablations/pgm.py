"""PGM from dual contrast to the full method, then variations of its parts; the rows are ours."""

rows = {
    "dual contrast, continued": {"method": {"cross_weight": 0.0}},
    "+ one-to-one matching, both directions": {"method": {"progressive": False, "crossing": "both"}},
    "+ progressive matching": {"method": {"crossing": "both"}},
    "+ alternate learning": {"method": {}},
    "one-to-one matching, alternate": {"method": {"progressive": False}},
    "crossing samples do not move memories": {"method": {"cross_updates": False}},
    "memories moved by means": {"method": {"update": "mean"}},
    "memories moved by each sample": {"method": {"update": "sequential"}},
}
