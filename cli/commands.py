"""Names of the commands besides training."""

_NAMES = ["ablation", "check", "doctor", "evaluate", "openset", "pretrain", "report", "site"]
COMMANDS = {name: f"usvi_bench.cli.{name}" for name in _NAMES}
"""Module of each command: the word after ``run.py``, and the module whose ``main`` it calls."""
