"""Python interface: functions for the tasks of the command line, a file for each."""

from __future__ import annotations

from usvi_bench.api.clustering import cluster
from usvi_bench.api.data import open_data
from usvi_bench.api.embedding import embed
from usvi_bench.api.evaluation import evaluate
from usvi_bench.api.exporting import export
from usvi_bench.api.searching import search
from usvi_bench.api.training import run, run_experiment

__all__ = ["cluster", "embed", "evaluate", "export", "open_data", "run", "run_experiment", "search"]
