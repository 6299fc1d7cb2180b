"""Readers of the published layouts, one file a data set; image cache and fingerprints."""
