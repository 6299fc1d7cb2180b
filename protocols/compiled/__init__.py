"""Compiled loops, in a folder of their own: the registry imports the modules of ``protocols``, and numba is slow."""
