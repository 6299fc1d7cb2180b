"""PCLHD on RegDB: without hard prototypes, memories are updated as in PGM on RegDB."""

method = {"update": "sequential"}
