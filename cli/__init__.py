"""Command line: one module of options for each command, and :func:`usvi_bench.cli.main.main` that selects it."""
