"""Run: a method, a data set, a protocol and settings, checked and ready to be executed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import is_locked
from usvi_bench.core.plugins import Part
from usvi_bench.core.provenance import Overrides
from usvi_bench.core.registry import DATASETS
from usvi_bench.datasets.base import Dataset
from usvi_bench.datasets.unpaired import UnpairedData
from usvi_bench.engine.config import RunConfig
from usvi_bench.engine.display import Display
from usvi_bench.engine.image_store import ImageStore
from usvi_bench.engine.plan import StagePlan, parts_of, plan_stages, run_folder
from usvi_bench.engine.start_weights import Start
from usvi_bench.engine.transfer import TRAINED_FOLD
from usvi_bench.protocols.base import Protocol


@dataclass
class Run:
    """Run that has been checked; :func:`usvi_bench.engine.execute.execute` carries it out.

    Attributes:
        config: all settings.
        dataset: opened data set.
        data_sentence: one sentence that names the images.
        protocol: protocol to score by.
        start: starting weights of the first stage.
        output: folder that keeps all runs; runs below it share their stages.
        device: device to compute on.
        display: display of progress.
        overrides: options that differ from the setting; they are written to the record.
        wait_for_lock: wait for a stage that another run is training, instead of refusing.
        ablation: grid and row that the run belongs to, if any; they are written to the record.
        imports: plug-ins that were imported for the run.
        track: called with a stage and entries of its journal; it does not change the run.
        plans: stages of each fold.
        folder: folder of the results.
        training_sentence: one sentence that names the images of ``training``.
        folds: folds that are scored.
        images: decoded images of the scored data set.
        training_images: decoded images of the data set to train on.
        training: data set to train on, if it is another one than the scored ``dataset``.
        unpaired: training images of ``dataset`` with those of donors, if people are replaced.
        donors: data set of the donors.
        donors_sentence: one sentence that names the images of ``donors``.
        unscored: reason why the data set cannot be scored, so that the run only trains; empty if it can.
    """

    config: RunConfig
    dataset: Dataset
    data_sentence: str
    protocol: Protocol
    start: Start
    output: Path
    device: torch.device
    display: Display
    overrides: Overrides = field(default_factory=lambda: Overrides(settings={}, schedule=None))
    wait_for_lock: bool = False
    ablation: str | None = None
    imports: tuple[str, ...] = ()
    track: Callable[[StagePlan, list[dict[str, Any]]], None] = lambda plan, entries: None
    training: Dataset | None = None
    training_sentence: str = ""
    unpaired: UnpairedData | None = None
    donors: Dataset | None = None
    donors_sentence: str = ""
    plans: dict[int, list[StagePlan]] = field(init=False)
    folder: Path = field(init=False)
    folds: tuple[int, ...] = field(init=False)
    images: ImageStore = field(init=False)
    training_images: ImageStore = field(init=False)
    unscored: str = field(init=False, default="")

    def __post_init__(self) -> None:
        self.protocol.check(self.dataset)
        self.unscored = self.protocol.unscorable(self.dataset)
        expected = self.protocol.folds(self.dataset)
        for fold in self.config.data.folds:
            if fold not in expected:
                raise UsageError(f"data.folds={fold}: {self.dataset.name} has folds {', '.join(map(str, expected))}")
        data, start, trained = self.dataset.fingerprint, self.start.identity, self.trained_on
        other = None if self.training is None else self.training.name
        self.folds = tuple(sorted(self.config.data.folds or expected))
        for fold in self.folds if self.training is None else ():
            _check_apart(self.dataset, fold)
        self.plans = {
            fold: plan_stages(self.config, fold, trained.fingerprint, start, self.output, trained=other)
            for fold in (self.folds if self.training is None else (TRAINED_FOLD,))
        }
        for option, given in (("--train-data", self.training), ("--donors", self.donors)):
            if given is not None and not self.every_plan:
                raise UsageError(f"'{self.config.method}' trains nothing; leave out {option}")
        self._check_enough_images()
        self._check_known()
        if self.unscored and self.training is not None:
            raise UsageError(
                f"--data cannot be scored by {self.protocol.name}: {self.unscored}; give images with the split 'test' "
                "(a folder 'test' around visible and infrared) and identities, or leave out --train-data"
            )
        if self.unscored and (self.config.evaluate_every or not self.every_plan):
            raise UsageError(
                f"{self.protocol.name} cannot score these images: {self.unscored}; give the identities, or train a "
                "method with evaluate_every=0"
            )
        self.folder = run_folder(self.config, self.every_plan, self.output, data, start)
        self.images, self.training_images = (
            ImageStore(each, self.config.data, self.protocol.resize, self.device, self.display.print)
            for each in (self.dataset, self.training or self.dataset)
        )

    @property
    def trained_on(self) -> Dataset:
        """Data set to train on; the scored one unless another is given, or people are replaced."""
        return self.unpaired or self.training or self.dataset

    @property
    def parts(self) -> list[Part]:
        """Registered parts that the run uses."""
        parts = parts_of(self.config, self.every_plan)
        others = [each.name for each in (self.training, self.donors) if each is not None]
        return [*parts, *((DATASETS, name) for name in others if name in DATASETS.names())]

    def scored_by(self, fold: int) -> tuple[int, ...]:
        """Return the folds that the model of a trained fold is scored on."""
        return (fold,) if self.training is None else self.folds

    def _check_enough_images(self) -> None:
        """Refuse a modality with fewer training images than neighbours of an image, or than the clusters of a batch."""
        for plan in self.every_plan:
            split = self.trained_on.train(plan.fold)
            for table in (split.visible, split.infrared):
                if not len(table):
                    raise UsageError(f"no {table.modality} training image: give some the split 'train'")
                clusters = getattr(self.config.train, f"{table.modality}_clusters")
                if len(table) < clusters:
                    raise UsageError(
                        f"{table.modality}: {len(table)} training images are fewer than the {clusters} clusters of a "
                        f"batch; lower --set train.{table.modality}_clusters or give more images"
                    )
                for name in ("k1", "neighbours"):
                    if len(table) < (wanted := getattr(plan.method_config, name, 0)):
                        raise UsageError(
                            f"{table.modality}: {len(table)} images are fewer than {name}={wanted}; "
                            f"lower --set method.{name} or give more images"
                        )
            both, wanted = len(split.visible) + len(split.infrared), getattr(plan.method_config, "joint_k1", 0)
            if both < wanted and getattr(plan.method_config, "joint", True):
                raise UsageError(
                    f"{both} images of both modalities are fewer than joint_k1={wanted}; lower --set method.joint_k1 "
                    "or give more images"
                )

    def _check_known(self) -> None:
        """Refuse a supervised training without identities; print a note if a method lacks the cameras that it uses."""
        lacking: dict[str, None] = {}
        for plan in self.every_plan:
            split = self.trained_on.train(plan.fold)
            for table in (split.visible, split.infrared):
                if plan.method_class.uses_identities and (table.identities < 0).all():
                    raise UsageError(
                        f"'{plan.method}' trains with identities, but no {table.modality} training image has one: give "
                        "them, or choose another method"
                    )
                if plan.method_class.uses_cameras and (table.cameras == 0).all():
                    lacking[table.modality] = None
        if lacking:
            self.display.print(
                f"'{self.config.method}' balances over cameras, but those of {' and '.join(lacking)} images are not "
                "known: they count as one camera (data.camera, or a column 'camera')"
            )

    @property
    def every_plan(self) -> list[StagePlan]:
        """Stages of all folds, in order."""
        return [plan for plans in self.plans.values() for plan in plans]

    def unfinished_elsewhere(self) -> str | None:
        """Describe unfinished trainings of other settings, if none of this run's can be resumed; else None."""
        if any(plan.started for plan in self.every_plan):
            return None
        found = [text for plan in self.every_plan for text in plan.unfinished_siblings()]
        if not found:
            return None
        texts = "; ".join(dict.fromkeys(found))
        return f"--resume: no unfinished training has these settings, so it starts anew. Unfinished: {texts}"

    def refuse_unfinished(self) -> None:
        """Refuse a stage that was interrupted earlier.

        Raises:
            UsageError: names the stage's folder and both remedies; or another process is training the stage.
        """
        for plan in self.every_plan:
            if plan.started and not plan.finished and not is_locked(plan.lock):  # else another process trains it
                raise UsageError(
                    f"{plan.folder} holds an unfinished training; "
                    "continue it with --resume or discard it with --overwrite"
                )


def _check_apart(dataset: Dataset, fold: int) -> None:
    """Refuse a fold that trains on a test image; the readers of the suite also compare people."""
    train, test = dataset.train(fold), dataset.test(fold)
    for first, second in ((train.visible, test.visible), (train.infrared, test.infrared)):
        if both := sorted(set(first.paths) & set(second.paths)):
            raise UsageError(
                f"{dataset.name}: fold {fold} trains and tests on {len(both)} {first.modality} images, such as "
                f"{both[0]:.200}; correct the lists of the data set"
            )
