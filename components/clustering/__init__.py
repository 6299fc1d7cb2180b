"""Clustering engine: neighbours, Jaccard distances, DBSCAN, pseudo-labels."""
