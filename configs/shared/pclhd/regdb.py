"""Where PCLHD has no hard prototypes, its memories move as those of PGM on RegDB."""

method = {"update": "sequential"}
