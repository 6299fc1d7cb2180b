"""Controls for other methods: longer training without matching of the modalities, other updates of the memory."""

rows = {
    "cluster contrast": {},
    "three times the epochs": {"train": {"epochs": 18}},
    "centroids moved by means": {"method": {"update": "mean"}},
    "centroids moved by the farthest sample": {"method": {"update": "hard"}},
}
