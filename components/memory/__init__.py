"""Memories of clusters and images, and the losses against them."""
