"""Figures and pages made from finished runs and records: reports, comparisons, ablation tables, README tables, site."""
