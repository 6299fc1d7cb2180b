"""Names of the commands besides training."""

NAMES = (
    *("ablation", "check", "cluster", "demo", "describe", "doctor", "embed", "evaluate", "export", "new", "openset"),
    *("pretrain", "report", "search", "settings", "site", "verify"),
)
COMMANDS = {name: f"usvi_bench.cli.{name}" for name in NAMES}
"""Module of each command: the word after ``run.py``, and the module whose ``main`` it calls."""
