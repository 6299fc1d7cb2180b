"""SCLHM: its three modules, one by one and in pairs, then another tie in place of the hybrid memory.

The paper's table was not available to us.
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
    # is it the hybrid memory, or any term across the modalities?
    "PGM's cross contrast alone": {"method": OFF | {"cross_weight": 0.25}},
}
