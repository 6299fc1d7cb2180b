"""Readers of the published data sets (one file each), image cache and fingerprints."""
