"""Ablation grids: rows of settings, run as resumable jobs on this machine or a cluster, and collected in a table."""
