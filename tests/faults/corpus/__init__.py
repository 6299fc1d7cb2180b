"""Hostile corpus: damaged and malicious inputs, each tried in a forked process and classified by what happened.

``cases(seed)`` yields the cases; ``python -m tests.faults.corpus`` tries all of them and prints a table.
"""
