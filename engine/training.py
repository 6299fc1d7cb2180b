"""Train loop, which is the same for every method, stage and data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.core.distributed.collectives import broadcast_parameters, broadcast_plain
from usvi_bench.core.distributed.process_info import process_info
from usvi_bench.core.files import remove_temporaries
from usvi_bench.core.journal import START
from usvi_bench.core.measuring import collect_metrics
from usvi_bench.core.process_memory import extra_memory
from usvi_bench.core.seeding import seed_global
from usvi_bench.core.types import Features, PseudoLabels, StageProgress
from usvi_bench.engine import checkpoint as checkpoints
from usvi_bench.engine.check_labels import check_labels
from usvi_bench.engine.check_method import check_models, shapes_of, stages_of
from usvi_bench.engine.checkpoint import Checkpoint
from usvi_bench.engine.config import RunConfig
from usvi_bench.engine.device import synchronized_time
from usvi_bench.engine.diagnosis import epoch_entry
from usvi_bench.engine.display import Display
from usvi_bench.engine.divergence import finite_losses
from usvi_bench.engine.images import BatchSampler, TrainingImages, embed_all
from usvi_bench.engine.optimiser import Optimiser
from usvi_bench.engine.plan import StagePlan
from usvi_bench.methods.base import Method

Evaluate = Callable[[Method, int], list[dict[str, Any]]]
"""Function that scores a method's models after an epoch and returns journal entries, or none if no scoring is due."""


class StageTraining:
    """Trainer of one stage.

    Args:
        plan: stage to train.
        config: settings of the run.
        encoder: network with the stage's starting weights, on the device.
        images: visible and infrared training images.
        identities: true identities, for the journal's diagnosis and for a method that declares that it uses them.
        device: device to train on.
        display: display of progress.
        evaluate: called after every epoch; returns journal entries.
    """

    def __init__(
        self,
        plan: StagePlan,
        config: RunConfig,
        encoder: TwoStreamEncoder,
        images: tuple[TrainingImages, TrainingImages],
        identities: PseudoLabels,
        device: torch.device,
        display: Display,
        evaluate: Evaluate,
    ) -> None:
        self.plan, self.config, self.images, self.identities = plan, config, images, identities
        self.device, self.display, self.evaluate, self.shapes = device, display, evaluate, shapes_of(encoder)
        self.method: Method = plan.method_class(plan.method_config, encoder).to(device)
        is_last = plan.position == len(stages_of(config.method, config.method_config)) - 1
        self.needed = self.method.headline if is_last else "student"
        check_models(self.method, plan.method, self.shapes, self.needed)
        for model in self.method.models().values() if config.engine.compile else ():
            model.network.compile_shared()
        self.optimiser, self.journal = Optimiser(self.method, config.train, plan.epochs, device), plan.journal

    def run(self) -> Method:
        """Train from the newest checkpoint, or from the start, to the last epoch; all processes call this together."""
        first = self._restore()
        self.display.begin_stage(self.plan, self.config.train.iterations, done=first)
        for epoch in range(first, self.plan.epochs):
            progress = StageProgress(epoch, self.plan.epochs, 0, self.config.train.iterations, self.plan.seed)
            entry, labels = self._train_epoch(progress)
            if process_info().is_main_process:
                described = epoch_entry(self.plan, progress, labels, self.identities, self.method, self.device)
                self._keep({**entry, **described}, epoch + 1)
        return self.method

    def _keep(self, entry: dict[str, Any], epochs: int) -> None:
        check_models(self.method, self.plan.method, self.shapes, self.needed)  # it may return others now
        self.journal.append(entry)
        for scores in self.evaluate(self.method, epochs):
            self.journal.append(scores)
        self._save(epochs)
        self.display.end_epoch(entry)

    def _train_epoch(self, progress: StageProgress) -> tuple[dict[str, Any], PseudoLabels]:
        method, train = self.method, self.config.train
        # for layers and libraries that draw from global generators (dropout); the caller restores their state
        seed_global(progress.seed_for("layers"))
        started = synchronized_time(self.device)
        broadcast_parameters(method)
        others = {name: method.models()[name] for name in method.embeds}
        features = embed_all(method.encoder, *self.images, train.embed_batch, self.device, others)
        embedded = synchronized_time(self.device)
        with torch.no_grad(), collect_metrics() as clustering, extra_memory(self.device):
            labels = self._label(features, progress)
            method.begin_epoch(features, labels.copy(), progress)
        clustered = synchronized_time(self.device)
        views = (method.visible_views, method.infrared_views)
        draw = BatchSampler(self.images, labels, views, train, self.config.augment, progress, self.device)
        method.train()
        lr = self.optimiser.lr
        for step in self.optimiser.scaler.steps(method, progress.steps):
            method.step(draw, replace(progress, step=step), self.optimiser)
            self.display.step(self.plan, progress.epoch, step, self.optimiser, labels)
        losses = finite_losses(method, self.optimiser, self.plan.method, progress)
        passed = (embedded - started, clustered - embedded, synchronized_time(self.device) - clustered)
        seconds = dict(zip(("embed", "cluster", "train"), passed, strict=True))
        counts = {"skipped_steps": self.optimiser.scaler.skipped_steps, "updates": self.optimiser.end_epoch()}
        entry = {"lr": lr, "losses": losses, **counts, "seconds": seconds, "clustering": clustering}
        return {**entry, "given_identities": labels is self.identities}, labels

    def _label(self, features: Features, progress: StageProgress) -> PseudoLabels:
        if self.method.uses_identities:
            return self.identities
        return PseudoLabels(**broadcast_plain(lambda: self._new_labels(features, progress), self.device))

    def _new_labels(self, features: Features, progress: StageProgress) -> dict[str, Any]:
        labels = self.method.label(features, progress)
        check_labels(labels, features, self.plan.method)
        return labels.copy().to_plain()  # a method may keep and change its own

    def _restore(self) -> int:
        found = broadcast_plain(self._find, self.device)
        if found is None:
            return 0
        saved = Checkpoint(**found)
        for name, model in self.method.models().items():
            model.load_state_dict(saved.models[name])
        self.optimiser.load(saved.optimiser)
        self.display.print(f"resuming stage '{self.plan.method}' of fold {self.plan.fold} after epoch {saved.epochs}")
        return saved.epochs

    def _find(self) -> dict[str, Any] | None:
        """Load the fields of the newest checkpoint, if there is one, and cut the journal to its length at that time."""
        remove_temporaries(self.plan.folder)
        path = checkpoints.latest(self.plan.folder)
        if path is None:
            self.journal.cut(START)
            return None
        saved = checkpoints.load(path)
        expected = {"method": self.plan.method, "fold": self.plan.fold, "data": self.plan.description["data"]}
        checkpoints.check_belongs(saved, path, **expected, key=self.plan.key)
        self.journal.cut(saved.journal)
        return {**vars(saved), "journal": tuple(saved.journal)}

    def _save(self, epochs: int) -> None:
        state = {name: model.state_dict() for name, model in self.method.models().items()}
        saved = Checkpoint(
            key=self.plan.key,
            method=self.plan.method,
            fold=self.plan.fold,
            data=self.plan.description["data"],
            epochs=epochs,
            journal=self.journal.mark,
            models=state,
            optimiser=self.optimiser.state(),
        )
        checkpoints.save(self.plan.folder, saved)
