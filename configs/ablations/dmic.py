"""Tables III and IV of DMIC's paper; neighbour counts of the data set are kept in all rows."""

rows = {
    # Table III: cluster (CC) and instance (IC) contrast in the first and in the second phase
    "CC-1": {"method": {"phase": "intra", "intra_instance": False}},
    "CC-1, IC-1": {"method": {"phase": "intra"}},
    "CC-1, IC-1, CC-2": {"method": {"inter_instance": False}},
    # Table IV: vanilla clustering (VC), modality-camera invariant expansion (MIE), dynamic neighbourhoods (DNC)
    "VC": {"method": {"mie": False, "dnc": False}},
    "VC, DNC": {"method": {"mie": False}},
    "MIE": {"method": {"dnc": False}},
    # the last row of both
    "DMIC": {"method": {}},
}
