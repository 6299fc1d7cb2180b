"""Execution of a run: train the missing stages, score every fold, write the folder of the run."""

from __future__ import annotations

import time

from usvi_bench.core.distributed.group import main_process_first
from usvi_bench.core.distributed.process_info import process_info
from usvi_bench.core.precision import allow_tf32
from usvi_bench.core.process_memory import forget_peak
from usvi_bench.core.record import Record
from usvi_bench.core.result import Score, mean_metrics
from usvi_bench.engine.device import explain_out_of_memory
from usvi_bench.engine.evaluation import (
    TableEmbedder,
    evaluate_epochs,
    kind_of,
    oracle_scores,
    score_entries,
    trained_models,
)
from usvi_bench.engine.output import FirstFold, RunResult, write_run
from usvi_bench.engine.reranking import reranked_scores
from usvi_bench.engine.run import Run
from usvi_bench.engine.stages import clear_stages, starting_encoder, train_stages
from usvi_bench.protocols.base import QueryScores
from usvi_bench.protocols.corrupted import CorruptedProtocol


def execute(run: Run, overwrite: bool = False) -> Record | None:
    """Train the missing stages, score every fold and write the folder of the run.

    Args:
        run: the run.
        overwrite: train finished stages again.

    Returns:
        The record that was written; None on processes other than rank 0, which only train.

    Raises:
        UsageError: a batch does not fit into the device's memory; the message names the settings to lower.
    """
    forget_peak(run.device)
    with explain_out_of_memory(run.config.train), allow_tf32(False):
        with main_process_first(), run.display.work.idle("reading the images"):
            for fold, plans in run.plans.items():
                if plans:
                    run.training_images.decode(run.trained_on.train(fold), test=False)
                for scored in run.scored_by(fold):
                    run.images.decode(run.dataset.test(scored), test=True)
            if run.unscored:
                run.display.print(f"training without scores: {run.unscored}")
        result = _train_and_score(run, overwrite)
        with run.display.work.idle("writing the results"):
            return write_run(run, result) if result is not None else None


def _train_and_score(run: Run, overwrite: bool) -> RunResult | None:
    scores: list[Score] = []
    queries: dict[int, QueryScores] = {}
    first: FirstFold | None = None
    seconds = 0.0
    if overwrite:
        clear_stages(run)
    run.display.begin_run(run.config.method, run.every_plan, run.config.train.iterations)
    for fold, plans in run.plans.items():
        train_stages(run, fold, lambda plan: evaluate_epochs(run, plan), overwrite)
        if not process_info().is_main_process or run.unscored:
            continue
        started = time.perf_counter()
        with run.display.work.idle("scoring"):
            for name, model in trained_models(run, plans).items():
                embed = TableEmbedder(run, model, name)
                for scored in run.scored_by(fold):
                    evaluation = run.protocol.evaluate(embed, run.dataset, scored, trained_on=scored)
                    scores += score_entries(run, name, evaluation, "last")
                    if run.config.engine.rerank:
                        scores += reranked_scores(embed, run.protocol, run.dataset, scored, kind_of(run, name, "last"))
                    queries.setdefault(scored, evaluation.queries)  # the headline model comes first
                    if first is None:
                        before = TableEmbedder(run, starting_encoder(run, None), "start")
                        first = FirstFold(evaluation.ranking, scored, embed, before)
        scores += oracle_scores(run, plans)
        seconds += time.perf_counter() - started
    if not process_info().is_main_process:
        return None
    if first is not None:
        _show_start(run, first)
    return RunResult(scores, queries, first, {} if run.unscored else {"evaluate": seconds})


def _show_start(run: Run, first: FirstFold) -> None:
    """Score the starting weights for the display, unless they are the result or other images had to be embedded."""
    if not run.every_plan or len(run.folds) > 1 or isinstance(run.protocol, CorruptedProtocol):
        return
    with run.display.work.idle("scoring"):
        scored = run.protocol.evaluate(first.before, run.dataset, first.fold, trained_on=first.fold)
    run.display.start = mean_metrics(score_entries(run, "start", scored, "last"))
