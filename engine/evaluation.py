"""Evaluation of trained models under a protocol; it does not touch the random state of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.core.result import Score, mean_metrics
from usvi_bench.core.seeding import numpy_generator
from usvi_bench.datasets.base import ImageTable
from usvi_bench.datasets.corruption import Corruption
from usvi_bench.engine.check_features import SAMPLE, check_features
from usvi_bench.engine.images import retrieval_features
from usvi_bench.engine.plan import StagePlan
from usvi_bench.engine.run import Run
from usvi_bench.engine.stages import last_checkpoint, starting_encoder
from usvi_bench.engine.training import Evaluate
from usvi_bench.methods.base import Method
from usvi_bench.protocols.base import Evaluation

FEATURE = "bn+flip"
"""Name of the test feature: the output of the batch-norm neck, averaged over an image and its mirror image."""


class TableEmbedder:
    """Table embedder with one encoder of fixed weights; each table is embedded once."""

    def __init__(self, run: Run, model: TwoStreamEncoder, name: str = "") -> None:
        self._run, self._model = run, model
        self._part = f"test, {name}" if name else "test"
        self._features: dict[tuple[tuple[str, ...], Corruption | None], NDArray[np.float32]] = {}

    def __call__(self, table: ImageTable) -> NDArray[np.float32]:
        """Return unit test features ``[N, D]`` of a table's images."""
        key = (table.names, table.corruption)
        if key not in self._features:
            precision, self._model.precision = self._model.precision, "fp32"  # scores are always in float32
            try:
                self._features[key] = self._embed(table)
            finally:
                self._model.precision = precision
        return self._features[key]

    def _embed(self, table: ImageTable) -> NDArray[np.float32]:
        """Embed a table in random order, because its rows are sorted by person."""
        run, model, part, modality = self._run, self._model, self._part, table.modality
        pixels, batch = run.images.pixels(table, test=True), run.config.train.embed_batch
        generator = numpy_generator(0, "test rows", modality, run.dataset.fingerprint)

        def features_of(rows: NDArray[np.int64]) -> NDArray[np.float32]:
            return retrieval_features(model, pixels, modality, batch, run.device, mirror=True, order=rows, part=part)

        order = generator.permutation(len(table))
        features = features_of(order)[np.argsort(order)]
        sample = generator.choice(order, min(SAMPLE, len(order)), replace=False)
        check_features(features, sample, features_of(sample), run.config.encoder.name)
        return features


def trained_models(run: Run, plans: list[StagePlan]) -> dict[str, TwoStreamEncoder]:
    """Load the trained networks of a fold, the headline first; without stages, load the starting weights."""
    if not plans:
        return {"student": starting_encoder(run, None)}
    states, headline = last_checkpoint(run, plans[-1]).models, plans[-1].method_class.headline
    return {name: _rebuild(run, states[name]) for name in sorted(states, key=lambda name: name != headline)}


def _rebuild(run: Run, state: Mapping[str, Tensor]) -> TwoStreamEncoder:
    """Build an encoder with given weights, in evaluation mode and without hooks."""
    encoder = run.config.new_encoder(0)
    encoder.load_state_dict(state)
    return encoder.to(run.device).eval()


def kind_of(run: Run, model: str, selection: str) -> dict[str, Any]:
    """Return the kind of the scores of a network, as in a record."""
    return {"model": model, "selection": selection, "feature": FEATURE, **run.protocol.kind()}


def score_entries(run: Run, model: str, evaluation: Evaluation, selection: str) -> list[Score]:
    """Convert an evaluation to the scores of a record.

    Args:
        run: the run.
        model: name of the network that was scored.
        evaluation: scores of the network in all trials of a fold.
        selection: ``last`` or ``oracle``.
    """
    kind = kind_of(run, model, selection)
    return [Score(**kind, fold=s.fold, trial=s.trial, metrics=s.metrics) for s in evaluation.scores]


def evaluate_epochs(run: Run, plan: StagePlan) -> Evaluate:
    """Make the function that scores a stage during training, every ``evaluate_every`` epochs.

    It scores copies of the networks, so that a method in training never receives test images.
    """

    def evaluate(method: Method, epoch: int) -> list[dict[str, Any]]:
        every = run.config.evaluate_every
        if not every or (epoch % every and epoch != plan.epochs):
            return []
        entries = []
        for name, model in method.models().items():
            copy = _rebuild(run, model.state_dict())
            evaluation = run.protocol.evaluate(TableEmbedder(run, copy), run.dataset, plan.fold, plan.fold)
            scores = score_entries(run, name, evaluation, "oracle")
            where = {"kind": "scores", "fold": plan.fold, "epoch": epoch - 1, "model": name}
            entries.append({**where, "trials": [asdict(score) for score in scores], "metrics": mean_metrics(scores)})
        return entries

    return evaluate


def oracle_scores(run: Run, plans: list[StagePlan]) -> list[Score]:
    """Return the scores of each model's best epoch by test mAP; they are never the headline."""
    if not plans or not run.config.evaluate_every:
        return []
    lines = [line for line in plans[-1].entries() if line["kind"] == "scores"]
    best: dict[str, dict[str, Any]] = {}
    for line in lines:
        if line["model"] not in best or line["metrics"]["mAP"] > best[line["model"]]["metrics"]["mAP"]:
            best[line["model"]] = line
    return [Score(**trial) for line in best.values() for trial in line["trials"]]
