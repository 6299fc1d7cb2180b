"""Ablations of PCLHD's prototypes and stages; the rows are ours, because the paper's table was not available."""

BASE = {"hard": False, "dynamic": False, "joint": False}

rows = {
    "baseline (PGM)": {"method": BASE},
    "+ hard prototypes": {"method": {**BASE, "hard": True}},
    "+ dynamic prototypes": {"method": {**BASE, "dynamic": True}},
    "+ joint clusters": {"method": {**BASE, "joint": True}},
    "hard and dynamic": {"method": {"joint": False}},
    "hard, joint": {"method": {"dynamic": False}},
    "dynamic, joint": {"method": {"hard": False}},
    "PCLHD": {"method": {}},
    # hard prototypes also change the update of centroids, from the farthest sample to the mean
    "baseline, centroids moved by means": {"method": {**BASE, "update": "mean"}},
    # first stage, and interpretations of the paper
    "hard prototypes from the first stage on": {"method": {"stage1_memory": "hybrid"}},
    "without cross contrast": {"method": {"cross_weight": 0.0}},
    "one random slot": {"method": {"dyn_select": "random_one"}},
    "random slot against centroids": {"method": {"dyn_select": "figure"}},
    "hard start": {"method": {"hard_init": "farthest_k"}},
    "defects of the released code": {"method": {"form": "released"}},
}
