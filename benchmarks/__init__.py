"""Benchmarks of speed and memory, each beside a reference in one run."""
