"""RPNR on RegDB: smaller prototypes for its 10 images per person, as in the released code.

Without hard prototypes, memories are updated as in PGM on RegDB.
"""

method = {"calibrate_members": 5, "update": "sequential"}
