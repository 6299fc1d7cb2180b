"""Names of the commands besides training."""

COMMANDS = {
    name: f"usvi_bench.cli.{name}"
    for name in ("ablation", "check", "embed", "evaluate", "pretrain", "report", "search", "site")
}
"""Module of each command: the word after ``run.py``, and the module whose ``main`` it calls."""
