"""SCLHM: its three modules, one by one and in pairs. The paper's table was not available to us."""

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
}
