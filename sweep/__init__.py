"""Ablation grids: rows of settings, run as resumable jobs here or on a cluster, and gathered in one table."""
