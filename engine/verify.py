"""Verification of a released form: its first epoch on real data, compared with a released training log."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from usvi_bench.components.encoder.registered import network_class
from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import temporary_folder
from usvi_bench.core.paths import expanded, is_file
from usvi_bench.core.plugins import import_plugins
from usvi_bench.core.precision import allow_tf32
from usvi_bench.core.progress import show_progress
from usvi_bench.core.registry import METHODS, PROTOCOLS
from usvi_bench.core.types import PseudoLabels
from usvi_bench.datasets.open import find_data
from usvi_bench.engine.config import DEFAULT_ENCODER
from usvi_bench.engine.describe import PAPER, RELEASED, released_form
from usvi_bench.engine.device import explain_out_of_memory
from usvi_bench.engine.display import Display
from usvi_bench.engine.experiment import Experiment
from usvi_bench.engine.imagenet import IMAGENET, find_imagenet
from usvi_bench.engine.log_anchors import Comparison, LogAnchor, compare, find_anchor, read_anchors
from usvi_bench.engine.optimiser import Optimiser
from usvi_bench.engine.plan import StagePlan
from usvi_bench.engine.refuse_exit import refuse_exit
from usvi_bench.engine.stages import train_stages

EVERY = 10
"""Steps between two readings of the mean losses."""


class EpochDisplay(Display):
    """Display of an epoch that keeps its cluster counts and its mean losses after every tenth step.

    Attributes:
        entry: journal entry of the epoch; empty before its end.
        losses: mean total loss over the steps up to a step, by its number from 1.
    """

    def __init__(self, quiet: bool = False) -> None:
        super().__init__(quiet)
        self.entry: dict[str, Any] = {}
        self.losses: dict[int, float] = {}

    def step(self, plan: StagePlan, epoch: int, step: int, optimiser: Optimiser, labels: PseudoLabels) -> None:
        super().step(plan, epoch, step, optimiser, labels)
        if (step + 1) % EVERY == 0:
            self.losses[step + 1] = sum(optimiser.means().values())

    def end_epoch(self, entry: dict[str, Any]) -> None:
        super().end_epoch(entry)
        self.entry = entry


def find_experiment(
    method: str,
    protocol: str,
    data: str,
    weights: str | None,
    device: str = "auto",
    settings: dict[str, Any] | None = None,
    imports: tuple[str, ...] = (),
) -> tuple[Experiment, LogAnchor]:
    """Find the anchor of a method on a data set, and the training that repeats its log, before any work.

    Args:
        method: registered name.
        protocol: registered name; its data set is trained on.
        data: folder of the data set.
        weights: file of the starting weights.
        device: ``auto``, ``cpu`` or ``cuda``.
        settings: settings of the engine that change no result but by rounding: ``engine.*``, ``train.embed_batch``.
        imports: plug-ins to import first.

    Raises:
        UsageError: there is no anchor, or the weights are not those of the log.
    """
    import_plugins(imports)
    for name in settings or {}:
        if not name.startswith("engine.") and name != "train.embed_batch":
            raise UsageError(
                f"--set {name}: this setting must be that of the released log; leave it out (only engine.* and "
                "train.embed_batch can be set)"
            )
    kind = PROTOCOLS.get(protocol).dataset
    if released_form(METHODS.get(method)) is None:
        raise UsageError(f"'{method}' has no released form and no released log; choose another method")
    anchor = find_anchor(read_anchors(), method, kind)
    source = find_data(kind, data)
    if source.synthetic_spec is not None:
        raise UsageError(
            f"--data {data}: synthetic people have no anchor; released logs are of real images: give the folder of "
            f"{source.reader.title}"
        )
    _check_weights(weights, anchor)
    chosen = {**(settings or {}), **RELEASED, "data.folds": str(anchor.fold)}
    common = {"data": data, "settings": chosen, "setting": PAPER, "weights": weights, "device": device}
    return Experiment(method, protocol, **common, imports=imports), anchor  # type: ignore[arg-type]


def _check_weights(weights: str | None, anchor: LogAnchor) -> None:
    """Refuse other weights than those of the log."""
    needed = f"the log starts from ImageNet weights: give --weights {network_class(DEFAULT_ENCODER).public_weights}"
    path = None if weights is None else find_imagenet(DEFAULT_ENCODER) if weights == IMAGENET else expanded(weights)
    if path is None or not is_file(path):
        raise UsageError(f"--weights {weights or 'is missing'}: {needed}")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(anchor.weights):
        raise UsageError(f"--weights {weights}: its sha256 begins with {found[:8]}, not {anchor.weights[0]}; {needed}")


def verify(experiment: Experiment, anchor: LogAnchor, display: EpochDisplay) -> list[Comparison]:
    """Train the first epoch of an experiment into a temporary folder, and compare it with an anchor.

    Args:
        experiment: training that repeats the log; its ``output`` is not used.
        anchor: numbers of the log.
        display: display of the epoch.

    Raises:
        UsageError: the data, the weights or a setting are wrong.
        StorageError: the temporary folder cannot be written.
    """
    place = Path(tempfile.gettempdir())
    with temporary_folder(place, "usvi-verify-") as folder, show_progress(display.work), refuse_exit():
        run = replace(experiment, output=folder).prepare(display)
        first = run.plans[anchor.fold][0]
        run.plans = {anchor.fold: [replace(first, epochs=1)]}  # the first epoch does not depend on their number
        with explain_out_of_memory(run.config.train), allow_tf32(False):
            run.training_images.decode(run.trained_on.train(anchor.fold), test=False)
            train_stages(run, anchor.fold, lambda plan: lambda method, epoch: [])
    return list(compare(anchor, display.entry["clusters"], display.losses))
