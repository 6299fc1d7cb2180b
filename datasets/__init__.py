"""Readers of the published layouts, image cache, fingerprints, and the embedded synthetic people."""
