"""One run from start to record: check everything, train what is missing, score, write."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from components.encoder import TwoStreamEncoder, build_encoder
from datasets.base import Dataset, ImageTable
from engine import checkpoint as checkpoints
from engine.checkpoint import Checkpoint
from engine.config import RunConfig
from engine.device import room
from engine.distributed import from_leader, leader_first
from engine.environment import stage_provenance
from engine.files import write_json
from engine.images import TrainingImages, fits
from engine.journal import Journal
from engine.output import Showcase, write_run
from engine.place import place
from engine.plan import StagePlan, plan_stages, run_folder
from engine.progress import METRICS, Progress
from engine.registry import UsageError
from engine.scoring import Scorer, mean_metrics
from engine.source import Start
from engine.stage import exclusive, start_clean
from engine.training import StageTraining
from engine.types import PseudoLabels
from methods.base import Method
from protocols.base import Protocol, QueryScores


@dataclass
class Run:
    """A method trained on a data set and scored under a protocol.

    Attributes:
        config: all settings.
        dataset: opened data set.
        data_sentence: one sentence that says which images are used.
        protocol: how to score.
        start: weights of the first stage.
        output: folder that keeps all runs; stages are shared below it.
        device: where to compute.
        progress: display.
        patient: wait for a stage that another run is training, instead of refusing.
        ablation: grid and row that the run belongs to, if any; its record says so.
        report: whether to draw the report at the end.
        chosen: options of ``run.py`` by which it departs from its setting; its record keeps them.
    """

    config: RunConfig
    dataset: Dataset
    data_sentence: str
    protocol: Protocol
    start: Start
    output: Path
    device: torch.device
    progress: Progress
    patient: bool = False
    ablation: str | None = None
    report: bool = True
    chosen: list[str] = field(default_factory=list)
    plans: dict[int, list[StagePlan]] = field(init=False)
    folder: Path = field(init=False)
    seconds: dict[str, float] = field(init=False, default_factory=dict)
    scorer: Scorer = field(init=False)

    def __post_init__(self) -> None:
        self.protocol.check(self.dataset)
        expected = self.protocol.folds(self.dataset)
        for fold in self.config.data.folds:
            if fold not in expected:
                raise UsageError(f"data.folds={fold}: {self.dataset.name} has folds {', '.join(map(str, expected))}")
        data, start = self.dataset.fingerprint, self.start.identity
        self.plans = {
            fold: plan_stages(self.config, fold, data, start, self.output)
            for fold in self.config.data.folds or expected
        }
        self._check_enough_images()
        self.folder = run_folder(self.config, self.every_plan, self.output, data, start)
        self.scorer = Scorer(self.protocol, self.dataset, self.config, self.device)

    def _check_enough_images(self) -> None:
        """Neighbour lists must not be longer than the images of a modality."""
        for plan in self.every_plan:
            split, k1 = self.dataset.train(plan.fold), getattr(plan.hyper, "k1", 0)
            for table in (split.visible, split.infrared):
                if len(table) < k1:
                    raise UsageError(
                        f"{table.modality}: {len(table)} images are fewer than k1={k1}; "
                        "lower --set method.k1 or give more images"
                    )

    @property
    def leads(self) -> bool:
        """Whether this process scores and writes; the others of its group only train."""
        return place().leads

    @property
    def every_plan(self) -> list[StagePlan]:
        """The stages of all folds, in order."""
        return [plan for plans in self.plans.values() for plan in plans]

    def refuse_unfinished(self) -> None:
        """Make sure that no stage was interrupted earlier.

        Raises:
            UsageError: names the stage's folder and both remedies.
        """
        for plan in self.every_plan:
            if plan.started and not plan.finished:
                raise UsageError(
                    f"{plan.folder} holds an unfinished training; "
                    "continue it with --resume or discard it with --overwrite"
                )

    def execute(self, overwrite: bool = False) -> dict[str, dict[str, float]]:
        """Train, score and write as :meth:`_execute` does; a device that is too small is told with the remedy."""
        with room(self.config.train):
            return self._execute(overwrite)

    def _execute(self, overwrite: bool) -> dict[str, dict[str, float]]:
        """Train what is missing, or everything where ``overwrite`` says so; score every fold, write the run's folder.

        Returns:
            Mean metrics of each model (last epoch), the headline first; nothing on the processes that only help.
        """
        with leader_first():
            self._decode()
        scores: list[dict[str, Any]] = []
        queries: dict[int, QueryScores] = {}
        showcase: Showcase | None = None
        for fold, plans in self.plans.items():
            for position, plan in enumerate(plans):
                parent = plans[position - 1] if position else None
                self._train(plan, parent, position == len(plans) - 1, overwrite)
            if not self.leads:
                continue
            started = time.perf_counter()
            for name, model in self._models(plans).items():
                embed = self.scorer.embedder(model)
                evaluation = self.scorer.evaluate(embed, fold, trained_on=fold)
                scores += self.scorer.entries(name, evaluation, "last")
                queries.setdefault(fold, evaluation.queries)  # of the headline, which comes first
                showcase = showcase or Showcase(evaluation.ranking, fold, embed, self._starting_encoder(None))
            scores += self._oracle(plans)
            self._spend("evaluate", started)
        if not self.leads:
            return {}
        assert showcase is not None
        write_run(self, scores, queries, showcase)
        names = dict.fromkeys(entry["model"] for entry in scores)
        last = [entry for entry in scores if entry["selection"] == "last"]
        return {name: mean_metrics([e for e in last if e["model"] == name], METRICS) for name in names}

    def _decode(self) -> None:
        """Decode every image now, so that a damaged test image does not come to light after hours of training."""
        for fold, plans in self.plans.items():
            used = [(self.dataset.train(fold), False)] if plans else []
            for split, test in (*used, (self.dataset.test(fold), True)):
                for table in (split.visible, split.infrared):
                    self.scorer.pixels(table, test=test)

    def _train(self, plan: StagePlan, parent: StagePlan | None, last: bool, overwrite: bool) -> None:
        """Train one stage, or say that it is there already; no other run gets hold of it from the cleaning on."""
        with exclusive(plan, self.patient) if self.leads else nullcontext():
            if overwrite and self.leads:
                start_clean(plan)
            if from_leader(lambda: plan.finished, self.device):
                self.progress.say(f"reusing finished stage '{plan.method}' of fold {plan.fold}: {plan.folder}")
                return
            training = self.training(plan, parent, last)
            starts = Journal(plan.folder / "starts.jsonl")
            if self.leads:
                write_json(plan.folder / "config.json", plan.description)
                starts.append(stage_provenance(self.device))
            try:
                with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
                    training.run()
            except BaseException:
                # nothing worth resuming: leave nothing behind
                if self.leads and checkpoints.latest(plan.folder) is None:
                    start_clean(plan)
                raise
            finally:
                self.progress.end_stage()
            if self.leads:
                finished = {"key": plan.key, "method": plan.method, "fold": plan.fold, "starts": starts.read()}
                write_json(plan.folder / "finished.json", finished)

    def training(self, plan: StagePlan, parent: StagePlan | None, last: bool) -> StageTraining:
        """A stage as it stands before its first epoch: the method on the weights it starts from, and its images.

        Args:
            plan: the stage.
            parent: finished stage whose weights it starts from; None for those of the run.
            last: whether ``evaluate_every`` asks for scores during it.
        """
        split = self.dataset.train(plan.fold)
        return StageTraining(
            plan=plan,
            config=self.config,
            encoder=self._starting_encoder(parent if self.leads else None),  # the others take over rank 0's weights
            images=(self._training_images(split.visible), self._training_images(split.infrared)),
            identities=self._identities(split.visible, split.infrared),
            device=self.device,
            progress=self.progress,
            evaluate=lambda method, epoch: self._evaluate_epoch(method, epoch, plan) if last else [],
        )

    def _starting_encoder(self, parent: StagePlan | None) -> TwoStreamEncoder:
        encoder = self.start.encoder(self.config)
        if parent is not None:
            encoder.load_state_dict(self.last_checkpoint(parent).models["student"])
        encoder.precision = {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}[self.config.train.amp]
        return encoder.to(self.device)

    def _training_images(self, table: ImageTable) -> TrainingImages:
        decoded = self.scorer.pixels(table, test=False)
        pixels = torch.tensor(np.asarray(decoded))  # a copy: the cache is a read-only file
        if fits(pixels, self.device):
            pixels = pixels.to(self.device)
        return TrainingImages(table.modality, pixels, torch.from_numpy(table.cameras))

    def _identities(self, visible: ImageTable, infrared: ImageTable) -> PseudoLabels:
        """True identities, numbered from 0 and shared by both modalities."""
        names = np.unique(np.concatenate([visible.identities, infrared.identities]))
        codes = (torch.from_numpy(np.searchsorted(names, table.identities)) for table in (visible, infrared))
        first, second = (code.to(self.device, torch.int64) for code in codes)
        return PseudoLabels(visible=first, infrared=second)

    def _models(self, plans: list[StagePlan]) -> dict[str, TwoStreamEncoder]:
        """The trained networks of a fold, the headline first; the starting weights where nothing was trained."""
        if not plans:
            return {"student": self._starting_encoder(None)}
        models: dict[str, TwoStreamEncoder] = {}
        for name, state in self.last_checkpoint(plans[-1]).models.items():
            encoder = build_encoder(self.config.encoder, 0)
            encoder.load_state_dict(state)
            models[name] = encoder.to(self.device)
        return models

    def last_checkpoint(self, plan: StagePlan) -> Checkpoint:
        """The end of a finished stage, which must be of this method, fold and data set."""
        path = checkpoints.latest(plan.folder)
        if path is None:
            raise UsageError(f"{plan.folder} has lost its checkpoints; train it again with --overwrite")
        saved = checkpoints.load(path)
        identity = {"method": plan.method, "fold": plan.fold, "data": self.dataset.fingerprint, "key": plan.key}
        checkpoints.check_belongs(saved, path, **identity)
        return saved

    def _evaluate_epoch(self, method: Method, epoch: int, plan: StagePlan) -> list[dict[str, Any]]:
        every = self.config.evaluate_every
        if not every or (epoch % every and epoch != plan.epochs):
            return []
        entries = []
        for name, model in method.models().items():
            evaluation = self.scorer.evaluate(self.scorer.embedder(model), plan.fold, plan.fold)
            trials = self.scorer.entries(name, evaluation, "oracle")
            summary = {"kind": "scores", "fold": plan.fold, "epoch": epoch - 1, "model": name, "trials": trials}
            entries.append({**summary, **mean_metrics(trials, METRICS)})
        return entries

    def _oracle(self, plans: list[StagePlan]) -> list[dict[str, Any]]:
        """Scores of the epoch that the test set would choose for each model: kept apart, never the headline."""
        if not plans or not self.config.evaluate_every:
            return []
        lines = [line for line in Journal(plans[-1].folder / "journal.jsonl").read() if line["kind"] == "scores"]
        best: dict[str, dict[str, Any]] = {}
        for line in lines:
            if line["model"] not in best or line["mAP"] > best[line["model"]]["mAP"]:
                best[line["model"]] = line
        return [trial for line in best.values() for trial in line["trials"]]

    def _spend(self, phase: str, started: float) -> None:
        self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - started
