"""Ground floor: types, names, settings, records, files and processes. It imports nothing of the other folders."""
