"""Base layer: types, names, settings, records, files and processes. It imports no other folder."""
