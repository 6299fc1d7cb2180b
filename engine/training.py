"""The train loop: one for every method, stage and data set."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from components.encoder import TwoStreamEncoder
from engine import checkpoint as checkpoints
from engine.checkpoint import Checkpoint
from engine.config import RunConfig
from engine.diagnosis import label_quality
from engine.images import BatchDraw, TrainingImages, embed_all
from engine.journal import Journal
from engine.measuring import measured
from engine.memory import extra_memory, peak_memory_mib
from engine.optimiser import Optimiser
from engine.plan import StagePlan
from engine.progress import Progress
from engine.registry import METHODS, UsageError
from engine.types import Clock, PseudoLabels
from methods.base import Method

Evaluate = Callable[[Method, int], list[dict[str, Any]]]
"""Scores of the method's models after an epoch, as journal entries; empty where none are due."""


class StageTraining:
    """One stage in progress.

    Args:
        plan: what to train.
        config: settings of the run.
        encoder: network with the stage's starting weights, on the device.
        images: visible and infrared training images.
        identities: true identities, for the journal's diagnosis and for a method that declares that it uses them.
        device: where to train.
        progress: display.
        evaluate: called after every epoch; writes nothing but its entries.
    """

    def __init__(
        self,
        plan: StagePlan,
        config: RunConfig,
        encoder: TwoStreamEncoder,
        images: tuple[TrainingImages, TrainingImages],
        identities: PseudoLabels,
        device: torch.device,
        progress: Progress,
        evaluate: Evaluate,
    ) -> None:
        self.plan, self.config, self.images, self.identities = plan, config, images, identities
        self.device, self.progress, self.evaluate = device, progress, evaluate
        self.method: Method = METHODS.get(plan.method)(plan.hyper, encoder).to(device)
        self.optimiser = Optimiser(self.method, config.train, plan.epochs, device)
        self.journal = Journal(plan.folder / "journal.jsonl")

    def run(self) -> Method:
        """Train from the newest checkpoint, or from the start, to the last epoch."""
        first = self._restore()
        self.progress.begin_stage(self.plan, self.config.train.iterations, done=first)
        for epoch in range(first, self.plan.epochs):
            entry = self._train_epoch(Clock(epoch, self.plan.epochs, 0, self.config.train.iterations, self.plan.seed))
            self.journal.append(entry)
            for scores in self.evaluate(self.method, epoch + 1):
                self.journal.append(scores)
            self._save(epoch + 1)
            self.progress.end_epoch(entry)
        return self.method

    def _train_epoch(self, clock: Clock) -> dict[str, Any]:
        method, train = self.method, self.config.train
        # for layers that draw from the global generator (dropout); the caller restores its state
        torch.manual_seed(clock.derive("layers"))
        started = time.perf_counter()
        others = {name: method.models()[name] for name in method.embeds}
        features = embed_all(method.encoder, *self.images, train.embed_batch, self.device, others)
        embedded = time.perf_counter()
        with torch.no_grad(), measured() as clustering, extra_memory(self.device):
            labels = self.identities if method.uses_identities else method.label(features, clock)
            method.begin_epoch(features, labels, clock)
        clustered = time.perf_counter()
        views = (method.visible_views, method.infrared_views)
        draw = BatchDraw(self.images, labels, views, train, self.config.augment, clock, self.device)
        method.train()
        lr = self.optimiser.lr
        for step in range(clock.steps):
            method.step(draw, replace(clock, step=step), self.optimiser)
            self.progress.step(self.plan, clock.epoch, step, self.optimiser, labels)
        losses = self._mean_losses(clock)
        passed = (embedded - started, clustered - embedded, time.perf_counter() - clustered)
        seconds = dict(zip(("embed", "cluster", "train"), passed, strict=True))
        self.optimiser.end_epoch()
        costs = {"seconds": seconds, "clustering": clustering}
        return {"lr": lr, "losses": losses, **costs, **self._describe(labels, clock)}

    def _mean_losses(self, clock: Clock) -> dict[str, float]:
        losses = self.optimiser.means()
        sound = all(bool(torch.isfinite(weights).all()) for weights in self.method.parameters())
        if not sound or not all(math.isfinite(value) for value in losses.values()):
            told = ", ".join(f"{name} {value:.3g}" for name, value in losses.items())
            raise UsageError(
                f"training diverged in epoch {clock.epoch + 1} of stage '{self.plan.method}' (losses: {told}); "
                f"lower --set train.lr (now {self.config.train.lr:g})"
            )
        return losses

    def _describe(self, labels: PseudoLabels, clock: Clock) -> dict[str, Any]:
        """Where the epoch stands and what the labels were worth."""
        parts = {"visible": labels.visible, "infrared": labels.infrared}
        true = {"visible": self.identities.visible, "infrared": self.identities.infrared}
        return {
            "kind": "epoch",
            "fold": self.plan.fold,
            "stage": self.plan.method,
            "stage_index": self.plan.position,
            "epoch": clock.epoch,
            "epochs": clock.epochs,
            "steps": clock.steps,
            "iteration": (clock.epoch + 1) * clock.steps,
            "images": {name: len(part) for name, part in parts.items()},
            "clusters": {name: int(part.max()) + 1 for name, part in parts.items()},
            "outliers": {name: int((part < 0).sum()) for name, part in parts.items()},
            "identities": {name: len(part.unique()) for name, part in true.items()},
            "quality": label_quality(labels, *(part.cpu().numpy() for part in true.values())),
            "diagnostics": {name: float(value) for name, value in self.method.diagnostics().items()},
            "peak_memory_mib": peak_memory_mib(self.device),
        }

    def _restore(self) -> int:
        checkpoints.remove_torn(self.plan.folder)
        path = checkpoints.latest(self.plan.folder)
        if path is None:
            self.journal.cut(0)
            return 0
        saved = checkpoints.load(path)
        expected = {"method": self.plan.method, "fold": self.plan.fold, "data": self.plan.description["data"]}
        checkpoints.check_belongs(saved, path, **expected, key=self.plan.key)
        for name, model in self.method.models().items():
            model.load_state_dict(saved.models[name])
        self.optimiser.load(saved.optimiser)
        self.journal.cut(saved.journal)
        self.progress.say(f"resuming stage '{self.plan.method}' of fold {self.plan.fold} after epoch {saved.epochs}")
        return saved.epochs

    def _save(self, epochs: int) -> None:
        state = {name: model.state_dict() for name, model in self.method.models().items()}
        saved = Checkpoint(
            key=self.plan.key,
            method=self.plan.method,
            fold=self.plan.fold,
            data=self.plan.description["data"],
            epochs=epochs,
            journal=self.journal.length,
            models=state,
            optimiser=self.optimiser.state(),
        )
        checkpoints.save(self.plan.folder, saved)
