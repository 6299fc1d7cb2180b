"""Training of a run's stages: one after another, each from the last weights of the previous one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.core.distributed.collectives import broadcast_plain
from usvi_bench.core.distributed.process_info import process_info
from usvi_bench.core.environment import stage_provenance
from usvi_bench.core.errors import StorageError, UsageError
from usvi_bench.core.files import write_json
from usvi_bench.core.journal import FollowedJournal, Journal
from usvi_bench.core.seeding import numpy_generator, restored_generators
from usvi_bench.core.types import OUTLIER, PseudoLabels
from usvi_bench.datasets.base import ImageTable, Split
from usvi_bench.engine import checkpoint as checkpoints
from usvi_bench.engine.checkpoint import Checkpoint
from usvi_bench.engine.numerics import numerics
from usvi_bench.engine.plan import StagePlan, clear_stage, hold_stage
from usvi_bench.engine.run import Run
from usvi_bench.engine.training import Evaluate, StageTraining


def clear_stages(run: Run) -> None:
    """Remove the trainings of all stages of a run, so that an interruption leaves none of an earlier run to reuse."""
    if process_info().is_main_process:  # the others wait for the first stage
        for plan in run.every_plan:
            with hold_stage(plan, run.wait_for_lock):
                clear_stage(plan)


def train_stages(run: Run, fold: int, evaluate: Callable[[StagePlan], Evaluate], overwrite: bool = False) -> None:
    """Train the stages of a fold that are not finished.

    Args:
        run: the run.
        fold: fold to train on.
        evaluate: function that makes the scoring function of the last stage.
        overwrite: train finished stages again, also those that another process has trained meanwhile.
    """
    parent: StagePlan | None = None
    for plan in run.plans[fold]:
        last = plan is run.plans[fold][-1]
        _train_stage(run, plan, parent, evaluate(plan) if last else lambda method, epoch: [], overwrite)
        parent = plan


def _train_stage(run: Run, plan: StagePlan, parent: StagePlan | None, evaluate: Evaluate, overwrite: bool) -> None:
    """Train a stage unless it is finished. Its lock is held from the clean-up to its completion."""
    is_main = process_info().is_main_process
    with hold_stage(plan, run.wait_for_lock) if is_main else nullcontext():
        if overwrite and is_main:
            clear_stage(plan)
        if broadcast_plain(lambda: plan.finished, run.device):
            if is_main:
                run.track(plan, plan.entries())
            run.display.print(f"reusing finished stage '{plan.method}' of fold {plan.fold}: {plan.folder}")
            return
        training = stage_training(run, plan, parent, evaluate)
        starts = Journal(plan.folder / "starts.jsonl")
        if is_main:
            write_json(plan.folder / "config.json", plan.description)
            starts.append({**stage_provenance(run.device), "numerics": numerics(run.config, run.device)})
        try:
            with restored_generators(run.device):
                training.run()
        except BaseException:
            # without a checkpoint there is nothing to resume
            if is_main and checkpoints.latest(plan.folder) is None:
                with suppress(StorageError):
                    clear_stage(plan)
            raise
        finally:
            run.display.end_stage()
        if is_main:
            plan.finish(training.journal.mark, starts.read())


def stage_training(run: Run, plan: StagePlan, parent: StagePlan | None, evaluate: Evaluate) -> StageTraining:
    """Build the trainer of a stage, with its starting weights and images.

    Args:
        run: the run.
        plan: the stage.
        parent: finished stage whose weights it starts from; None for the starting weights of the run.
        evaluate: called after every epoch; returns journal entries.
    """
    split, fingerprint = run.trained_on.train(plan.fold), run.trained_on.fingerprint
    visible_order, infrared_order = orders = row_orders(split, run.config.seed, plan.fold, fingerprint)
    visible = run.training_images.training_images(split.visible, visible_order)
    infrared = run.training_images.training_images(split.infrared, infrared_order)
    training = StageTraining(
        plan=plan,
        config=run.config,
        # the other processes receive rank 0's weights
        encoder=starting_encoder(run, parent if process_info().is_main_process else None),
        images=(visible, infrared),
        identities=true_identities(split, orders, run.device),
        device=run.device,
        display=run.display,
        evaluate=evaluate,
    )
    training.journal = FollowedJournal(training.journal.path, partial(run.track, plan))
    return training


def starting_encoder(run: Run, parent: StagePlan | None) -> TwoStreamEncoder:
    """Build an encoder with the last weights of a finished stage, or with the run's starting weights."""
    encoder = run.start.encoder(run.config)
    if parent is not None:
        encoder.load_state_dict(last_checkpoint(run, parent).models["student"])
    encoder.precision = run.config.train.precision
    return encoder.to(run.device)


def last_checkpoint(run: Run, plan: StagePlan) -> Checkpoint:
    """Load the last checkpoint of a finished stage.

    Raises:
        UsageError: it is missing, or belongs to another method, fold or data set.
    """
    path = checkpoints.latest(plan.folder)
    if path is None:
        raise UsageError(f"{plan.folder} is finished but has no checkpoint; train it again with --overwrite")
    saved = checkpoints.load(path)
    identity: dict[str, Any] = {"method": plan.method, "fold": plan.fold, "data": run.trained_on.fingerprint}
    checkpoints.check_belongs(saved, path, **identity, key=plan.key)
    return saved


def row_orders(split: Split, seed: int, fold: int, fingerprint: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw the order of the training images of each modality; it is the same for all stages and methods.

    The rows of a table are sorted by path, and a path contains the identity. In random order, the number of a row
    carries no information about its identity. A method can guess the seed, but it does not receive the fingerprint, so
    it cannot draw the order again.

    Args:
        split: training images.
        seed: seed of the run.
        fold: fold that the images belong to.
        fingerprint: fingerprint of the data set.

    Returns:
        Permuted row numbers of the visible and of the infrared table.
    """

    def draw(table: ImageTable) -> NDArray[np.int64]:
        return numpy_generator(seed, "rows", fold, table.modality, fingerprint).permutation(len(table))

    return draw(split.visible), draw(split.infrared)


def true_identities(
    split: Split, orders: tuple[NDArray[np.int64], NDArray[np.int64]], device: torch.device
) -> PseudoLabels:
    """Number the true identities of a split from 0, with equal numbers in both modalities; unknown people have -1.

    Args:
        split: training images.
        orders: order of the rows of each modality, see :func:`row_orders`.
        device: device of the result.
    """
    identities = [split.visible.identities[orders[0]], split.infrared.identities[orders[1]]]
    everyone = np.concatenate(identities)
    names = np.unique(everyone[everyone >= 0])
    numbers = (np.where(own < 0, OUTLIER, np.searchsorted(names, own)) for own in identities)
    visible, infrared = (torch.from_numpy(own).to(device, torch.int64) for own in numbers)
    return PseudoLabels(visible=visible, infrared=infrared)
