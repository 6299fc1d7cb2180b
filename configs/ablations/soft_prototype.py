"""Ablations of the components named in the abstract of SPCL-ID; the paper's table is not public.

A0 has PGM's losses, but updates centroids with means in both stages. Without a schedule, losses have constant weights
in both stages. A6 is closest to SWPCL, the related paper. A7 replaces the nearest prototypes of A1 by random ones and
PCLHD's contrast.
"""

BASE = {"prototypes": "none", "soft_weights": False, "instances": False, "scheduled": False}

rows = {
    "A0 baseline": {"method": BASE},
    "A1 + soft prototypes": {"method": {**BASE, "prototypes": "nearest"}},
    "A2 + soft weights": {"method": {**BASE, "prototypes": "nearest", "soft_weights": True}},
    "A3 + instance discrimination only": {"method": {**BASE, "instances": True}},
    "A4 all losses, constant weights": {"method": {"scheduled": False}},
    "A5 full, scheduled": {"method": {}},
    "A6 soft prototypes and weights, scheduled": {"method": {"instances": False}},
    "A7 random prototypes": {"method": {**BASE, "prototypes": "random"}},
}
