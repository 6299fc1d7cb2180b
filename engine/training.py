"""The train loop: one for every method, stage and data set."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from components.encoder import TwoStreamEncoder
from engine import checkpoint as checkpoints
from engine.checkpoint import Checkpoint
from engine.config import RunConfig
from engine.device import settled
from engine.distributed import align, from_leader
from engine.epoch import describe
from engine.images import BatchDraw, TrainingImages, embed_all
from engine.journal import Journal
from engine.measuring import measured
from engine.memory import extra_memory
from engine.optimiser import Optimiser
from engine.place import place
from engine.plan import StagePlan
from engine.progress import Progress
from engine.registry import METHODS, UsageError
from engine.types import Clock, Features, PseudoLabels
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
        for model in self.method.models().values() if config.engine.compile else ():
            model.trunk.compile()
        self.optimiser = Optimiser(self.method, config.train, plan.epochs, device)
        self.journal = Journal(plan.folder / "journal.jsonl")

    def run(self) -> Method:
        """Train from the newest checkpoint, or from the start, to the last epoch; a group of processes together."""
        first = self._restore()
        self.progress.begin_stage(self.plan, self.config.train.iterations, done=first)
        for epoch in range(first, self.plan.epochs):
            clock = Clock(epoch, self.plan.epochs, 0, self.config.train.iterations, self.plan.seed)
            entry, labels = self._train_epoch(clock)
            if place().leads:
                described = describe(self.plan, clock, labels, self.identities, self.method, self.device)
                self._keep({**entry, **described}, epoch + 1)
        return self.method

    def _keep(self, entry: dict[str, Any], epochs: int) -> None:
        self.journal.append(entry)
        for scores in self.evaluate(self.method, epochs):
            self.journal.append(scores)
        self._save(epochs)
        self.progress.end_epoch(entry)

    def _train_epoch(self, clock: Clock) -> tuple[dict[str, Any], PseudoLabels]:
        method, train = self.method, self.config.train
        # for layers that draw from the global generator (dropout); the caller restores its state
        torch.manual_seed(clock.derive("layers"))
        started = settled(self.device)
        align(method)
        others = {name: method.models()[name] for name in method.embeds}
        features = embed_all(method.encoder, *self.images, train.embed_batch, self.device, others)
        embedded = settled(self.device)
        with torch.no_grad(), measured() as clustering, extra_memory(self.device):
            labels = self._label(features, clock)
            method.begin_epoch(features, labels, clock)
        clustered = settled(self.device)
        views = (method.visible_views, method.infrared_views)
        draw = BatchDraw(self.images, labels, views, train, self.config.augment, clock, self.device)
        method.train()
        lr = self.optimiser.lr
        for step in range(clock.steps):
            method.step(draw, replace(clock, step=step), self.optimiser)
            self.progress.step(self.plan, clock.epoch, step, self.optimiser, labels)
        losses = self._mean_losses(clock)
        passed = (embedded - started, clustered - embedded, settled(self.device) - clustered)
        seconds = dict(zip(("embed", "cluster", "train"), passed, strict=True))
        self.optimiser.end_epoch()
        return {"lr": lr, "losses": losses, "seconds": seconds, "clustering": clustering}, labels

    def _label(self, features: Features, clock: Clock) -> PseudoLabels:
        if self.method.uses_identities:
            return self.identities
        return from_leader(lambda: self.method.label(features, clock).portable(), self.device)

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

    def _restore(self) -> int:
        saved = from_leader(self._find, self.device)
        if saved is None:
            return 0
        for name, model in self.method.models().items():
            model.load_state_dict(saved.models[name])
        self.optimiser.load(saved.optimiser)
        self.progress.say(f"resuming stage '{self.plan.method}' of fold {self.plan.fold} after epoch {saved.epochs}")
        return saved.epochs

    def _find(self) -> Checkpoint | None:
        """The newest checkpoint, and the journal as it was then."""
        checkpoints.remove_torn(self.plan.folder)
        path = checkpoints.latest(self.plan.folder)
        if path is None:
            self.journal.cut(0)
            return None
        saved = checkpoints.load(path)
        expected = {"method": self.plan.method, "fold": self.plan.fold, "data": self.plan.description["data"]}
        checkpoints.check_belongs(saved, path, **expected, key=self.plan.key)
        self.journal.cut(saved.journal)
        return saved

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
