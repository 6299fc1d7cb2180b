"""Analyses of records, finished runs and synthetic people; none of them measures speed."""
