"""PGM on RegDB: memories are updated by one sample after the other (zesenwu23/USL-VI-ReID @ed4a7df)."""

method = {"update": "sequential"}
