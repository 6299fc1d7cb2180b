"""Evaluation protocols: queries, galleries, masks and metrics."""
