"""Memories of clusters and images, and the losses of features against them."""
