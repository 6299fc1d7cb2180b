"""Figures and pages of finished runs and records: reports, comparisons, ablations, tables of README, site."""
