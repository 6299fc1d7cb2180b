"""USVI-Bench: a comparative benchmark suite for unsupervised visible-infrared person re-identification."""

__version__ = "0.1.0"
