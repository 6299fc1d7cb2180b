"""Clustering: nearest neighbours, Jaccard distances, DBSCAN, pseudo-labels."""
