"""Analyses of records, finished runs and synthetic people, without measurements of speed."""
