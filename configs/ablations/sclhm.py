"""SCLHM: its three modules, alone and in pairs, then another cross-modality term in place of the hybrid memory.

The rows are ours, because the paper's table was not available.
"""

OFF = {"sscl": False, "hml": False, "amu": False}

rows = {
    "cluster contrast, continued": {"method": OFF},
    "+ soft targets": {"method": OFF | {"sscl": True}},
    "+ hybrid memory": {"method": OFF | {"hml": True}},
    "+ adaptive updates": {"method": OFF | {"amu": True}},
    "soft targets, hybrid memory": {"method": OFF | {"sscl": True, "hml": True}},
    "soft targets, adaptive updates": {"method": OFF | {"sscl": True, "amu": True}},
    "hybrid memory, adaptive updates": {"method": OFF | {"hml": True, "amu": True}},
    "SCLHM": {"method": {}},
    # control: does the hybrid memory matter, or any cross-modality term?
    "PGM's cross contrast alone": {"method": OFF | {"cross_weight": 0.25}},
}
