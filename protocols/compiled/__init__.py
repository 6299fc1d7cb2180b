"""Compiled loops, in a separate folder: the registry imports the modules of ``protocols``, and numba loads slowly."""
