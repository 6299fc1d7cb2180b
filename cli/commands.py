"""Names of the commands besides training."""

COMMANDS = {name: f"usvi_bench.cli.{name}" for name in ("ablation", "check", "evaluate", "pretrain", "report", "site")}
"""Module of each command: the word after ``run.py``, and the module whose ``main`` it calls."""
