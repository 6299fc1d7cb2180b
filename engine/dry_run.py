"""Dry run: what a run would do, what it would reuse, and how long it would take. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from usvi_bench.core.distributed.process_info import process_info
from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import is_locked
from usvi_bench.core.formatting import counted
from usvi_bench.core.host import GIB, cache_folder
from usvi_bench.core.precision import allow_tf32
from usvi_bench.datasets.base import Dataset
from usvi_bench.datasets.open import DataSource, Progress, describe
from usvi_bench.datasets.planned import PlannedDataset
from usvi_bench.datasets.tree import SYNTHETIC_NOTE
from usvi_bench.engine.calibration import StageCost, measure_stage
from usvi_bench.engine.checkpoint import epochs_done
from usvi_bench.engine.doctor_training import memory_finding
from usvi_bench.engine.experiment import Experiment, refuse_both
from usvi_bench.engine.plan import StagePlan
from usvi_bench.engine.run import Run


def open_unchanged(
    source: DataSource, *, progress: Progress | None = None, check_counts: bool = True
) -> tuple[Dataset, str]:
    """Open a data set as :meth:`DataSource.open` does, but write nothing: people that are not rendered are planned."""
    if source.root is None:
        from usvi_bench.synthetic import parse

        spec = parse(source.spec)
        root = cache_folder() / "synthetic" / spec.folder(source.reader.name)
        if not (root / SYNTHETIC_NOTE).is_file():
            planned = PlannedDataset(source.reader.name, spec)
            sentence = describe(source.reader.title, planned.synthetic, published=False, check_counts=check_counts)
            return planned, sentence
        source = replace(source, root=root)
    dataset, sentence = source.open(progress=progress, check_counts=check_counts)
    dataset.keeps_hash = False  # type: ignore[attr-defined]  # every reader of a source is a TreeDataset
    return dataset, sentence


def describe_run(experiment: Experiment, *, resume: bool = False, overwrite: bool = False) -> Iterator[str]:
    """Describe, line by line, what a run would do.

    The time is measured: a few steps of each missing stage run on random images.

    Args:
        experiment: the run.
        resume: whether it continues an unfinished training.
        overwrite: whether it trains finished stages again.

    Raises:
        UsageError: the run would be refused before any work.
    """
    if process_info().world_size > 1:
        raise UsageError("--dry-run runs in one process; do not start it with torchrun or srun")
    refuse_both(resume, overwrite)
    run = experiment.prepare(opener=open_unchanged)
    yield f"images: {run.data_sentence}"
    if run.training is not None:
        yield f"trained on: {run.training_sentence}"
    if run.unscored:
        yield f"training without scores: {run.unscored}"
    yield f"starting weights: {run.start.source}{run.start.note}"
    yield _images(run)
    for plan in run.every_plan:
        state = "to train" if _planned(run) else _state(plan, resume, overwrite)
        yield f"{_stage(run, plan)}: {state}"
    missing = [plan for plan in run.every_plan if overwrite or not plan.finished]
    done = {plan.key: 0 if overwrite else epochs_done(plan.folder) for plan in missing}
    steps = sum(plan.epochs - done[plan.key] for plan in missing) * run.config.train.iterations
    yield f"to train: {counted(len(missing), 'stage')}, {counted(steps, 'step')}"
    yield f"results: {_results(run)}"
    memory = memory_finding(run.config, run.device)
    yield f"memory: {memory.text}" + (f"; too much: {memory.remedy}" if memory.remedy else "")
    yield f"training images in memory: {_pixels(run) / GIB:.2f} GiB"
    if memory.remedy and missing:
        yield "time: not measured, because a step does not fit into the memory"
    else:
        left = [replace(plan, epochs=plan.epochs - done[plan.key]) for plan in missing]
        yield from _time(run, [plan for plan in left if plan.epochs])
    yield "nothing was written"


def _planned(run: Run) -> list[PlannedDataset]:
    """Return the data sets of a run whose people are not rendered yet."""
    return [each for each in (run.dataset, run.training, run.donors) if isinstance(each, PlannedDataset)]


def _images(run: Run) -> str:
    trained = [run.trained_on.train(fold) for fold, plans in run.plans.items() if plans]
    scored = [run.dataset.test(fold) for fold in run.folds]
    counts = run.training_images.count(trained, test=False), run.images.count(scored, test=True)
    used, lacking = (sum(numbers) for numbers in zip(*counts, strict=True))
    if planned := _planned(run):
        return (
            f"people: {sum(each.images for each in planned):,} images to render, {used:,} to decode. "
            "Finished stages are recognised by the content of the images, so only rendered people have any"
        )
    return f"decoded images: {used - lacking:,} of {used:,} from the cache, {lacking:,} to decode"


def _pixels(run: Run) -> int:
    """Return the bytes of the decoded training images of the largest fold."""
    splits = [run.trained_on.train(fold) for fold, plans in run.plans.items() if plans]
    images = max((len(split.visible) + len(split.infrared) for split in splits), default=0)
    return images * run.config.data.height * run.config.data.width * 3


def _stage(run: Run, plan: StagePlan) -> str:
    length = f"{counted(plan.epochs, 'epoch')} of {counted(run.config.train.iterations, 'step')}"
    return f"fold {plan.fold}, stage {plan.position + 1} of {len(run.plans[plan.fold])}, {plan.method}, {length}"


def _state(plan: StagePlan, resume: bool, overwrite: bool) -> str:
    if is_locked(plan.lock):
        return f"another process is training {plan.folder}; the run would be refused until it ends"
    if overwrite and plan.started:
        return f"to train again; {plan.folder} is replaced"
    if plan.finished:
        return f"finished, reused from {plan.folder}"
    if plan.started:
        after = f"{epochs_done(plan.folder)} of {counted(plan.epochs, 'epoch')} are done in {plan.folder}"
        return f"continued; {after}" if resume else f"refused without --resume or --overwrite; {after}"
    return f"to train into {plan.folder}"


def _results(run: Run) -> str:
    if _planned(run):
        return str(run.output / run.config.protocol / f"{run.config.method}-seed{run.config.seed}-KEY")
    written = (run.folder / "record.json").exists()
    return f"{run.folder}{' (has a record; the run scores again and replaces it)' if written else ''}"


def _time(run: Run, missing: list[StagePlan]) -> Iterator[str]:
    """Estimate the time of the missing stages and of the embedding of the test images."""
    if not missing:
        yield "time: nothing to train; scoring and rendering are not estimated"
        return
    yield "time: measuring a few steps of each stage; a large network takes minutes on a processor"
    costs: dict[tuple[str, int], StageCost] = {}
    seconds = 0.0
    with allow_tf32(False), torch.random.fork_rng(devices=[]):
        for plan in missing:
            split = run.trained_on.train(plan.fold)
            images = (len(split.visible), len(split.infrared))
            if (kind := (plan.method, plan.position)) not in costs:
                costs[kind] = measure_stage(run.config, plan, images, run.device)
            seconds += costs[kind].seconds(plan, run.config.train.iterations, sum(images))
    scored = sum(len(run.dataset.test(fold).visible) + len(run.dataset.test(fold).infrared) for fold in run.folds)
    seconds += scored * next(iter(costs.values())).embed
    where = f"{run.device.type}, {counted(torch.get_num_threads(), 'thread')}"
    yield f"time: about {_minutes(seconds)} on this machine ({where})"
    for (method, _), cost in costs.items():
        whole = "" if cost.share == 1 else f", scaled from a step with {cost.share:.0%} of its images"
        embed = f"{cost.embed * 1000:.3g} ms to embed an image"
        yield f"  {method}: {cost.step:.3g} s a step{whole}, {embed}, {cost.cluster:.3g} s to cluster"
    yield "  basis: measured just now on random images; rendering, decoding, ranking and figures are not included"


def _minutes(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
