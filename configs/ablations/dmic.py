"""Rows of Tables III and IV of the DMIC paper; all rows use the data set's neighbour counts."""

rows = {
    # Table III: cluster (CC) and instance (IC) contrast in the first and in the second phase
    "CC-1": {"method": {"phase": "intra", "intra_instance": False}},
    "CC-1, IC-1": {"method": {"phase": "intra"}},
    "CC-1, IC-1, CC-2": {"method": {"inter_instance": False}},
    # Table IV: vanilla clustering (VC), modality-camera invariant expansion (MIE), dynamic neighbourhoods (DNC)
    "VC": {"method": {"mie": False, "dnc": False}},
    "VC, DNC": {"method": {"mie": False}},
    "MIE": {"method": {"dnc": False}},
    # last row of both tables
    "DMIC": {"method": {}},
}
