"""PGM's memories on RegDB move by every sample in turn (zesenwu23/USL-VI-ReID @ed4a7df)."""

method = {"update": "sequential"}
