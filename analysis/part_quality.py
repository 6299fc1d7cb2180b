"""Quality of soft weights, teacher probabilities and gates in trained methods, compared with true identities.

``python -m analysis.part_quality RUN... --csv leaderboard/part_quality.csv`` reads folders of finished runs on
synthetic people whose trainings are still in ``stages/``. The final weights label the training images again, the method
initialises its memories, and its weights, probabilities or gates in the augmented batches of another epoch are compared
with true identities. Memories and weights do not change during this diagnosis; in training, memories change with every
step.

A label is *right* if the image shows the most frequent person of its cluster.

``soft_prototype``: are prototypes, and those with large weights, right more often than other images of their cluster?
``sclhm``: does the teacher give right labels more probability than wrong ones, and how much goes to the right person?
``hil``: are labels that pass the gate of multi-centre contrast right more often than the others?
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from usvi_bench.analysis.label_quality import DIGITS
from usvi_bench.analysis.run_tables import RUN_KEY, run_key, write_table
from usvi_bench.components.memory.sub_centres import multi_centre_loss
from usvi_bench.components.modalities import by_modality
from usvi_bench.core.errors import UsageError
from usvi_bench.core.record import read_record
from usvi_bench.core.types import MODALITIES, Batch, Modality, NextBatch, StageProgress
from usvi_bench.engine.diagnosis import majority_identity
from usvi_bench.engine.images import BatchSampler, embed_all
from usvi_bench.engine.plan import StagePlan
from usvi_bench.engine.recorded_experiment import recorded_experiment
from usvi_bench.engine.run import Run
from usvi_bench.engine.stages import last_checkpoint, stage_training
from usvi_bench.methods.base import Method

KEY = [*RUN_KEY, "modality", "figure"]
Figures = Iterator[tuple[Modality, dict[str, float]]]
Samples = tuple[Tensor, Tensor, Tensor]
"""Features ``[N, D]``, clusters ``[N]`` and identities ``[N]`` of samples."""


@dataclass(frozen=True)
class Epoch:
    """Epoch: batches, and the clusters and identities of all images by modality."""

    labels: dict[Modality, Tensor]
    identities: dict[Modality, Tensor]
    draw: NextBatch
    steps: int

    def gather(self, embed: Callable[[Batch], dict[Modality, Tensor]]) -> dict[Modality, Samples]:
        """Embed every batch; views of an image keep their order within the batch."""
        found: dict[Modality, list[Samples]] = {modality: [] for modality in MODALITIES}
        for _ in range(self.steps):
            batch = self.draw()
            samples = by_modality((batch.visible, batch.infrared))
            for modality, features in embed(batch).items():
                views = len(features) // len(samples[modality].index)
                index = samples[modality].index.repeat(views)
                found[modality].append((features, self.labels[modality][index], self.identities[modality][index]))
        return {
            modality: (
                torch.cat([f for f, _, _ in seen]),
                torch.cat([c for _, c, _ in seen]),
                torch.cat([i for *_, i in seen]),
            )
            for modality, seen in found.items()
        }


def majority_identities(labels: Tensor, identities: Tensor) -> Tensor:
    """Return the most frequent identity of every cluster, ``[K]``."""
    return torch.from_numpy(majority_identity(labels.numpy(), identities.numpy()))


def prototype_purity(
    index: Tensor, counts: Tensor, weights: Tensor, labels: Tensor, identities: Tensor
) -> dict[str, float]:
    """Compute the share of images that show their cluster's person, among prototypes and others; mean over clusters.

    Args:
        index: ``[C, K]`` indices of the images that are a cluster's prototypes.
        counts: ``[C, K]`` False for slots that repeat a prototype.
        weights: ``[C, K]`` weights of the prototypes; rows sum to 1.
        labels: ``[N]`` clusters of all images.
        identities: ``[N]`` identities of all images.
    """
    owners = majority_identities(labels, identities)
    hit = (identities[index] == owners[:, None]).double()
    chosen = torch.zeros(len(owners), len(labels), dtype=torch.bool).scatter(1, index, True)
    members, own = labels == torch.arange(len(owners))[:, None], identities == owners[:, None]
    others = members & ~chosen
    rest = (others & own).sum(1).double() / others.sum(1)
    return {
        "all images of a cluster": float(((members & own).sum(1) / members.sum(1)).mean()),
        "its prototypes": float(((hit * counts).sum(1) / counts.sum(1)).mean()),
        "its prototypes, by their weights": float((hit * weights).sum(1).mean()),
        "its other images": float(rest[others.any(1)].mean()),
    }


def teacher_quality(soft: Tensor, labels: Tensor, owners: Tensor, identities: Tensor) -> dict[str, float]:
    """Compare a teacher's probabilities with the correctness of the labels.

    Args:
        soft: ``[B, K]`` probabilities of the teacher.
        labels: ``[B]`` clusters.
        owners: ``[K]`` majority identity of each cluster.
        identities: ``[B]`` identities.
    """
    own = soft.gather(1, labels[:, None]).squeeze(1)
    right = owners[labels] == identities
    same = owners == identities[:, None]
    person = (soft * same).sum(1)
    return {
        "right labels": float(right.double().mean()),
        "teacher's mass on the label, where right": float(own[right].mean()),
        "teacher's mass on the label, where wrong": float(own[~right].mean()),
        "a right label has more mass than a wrong one": _auc(right, own),
        "teacher's mass on clusters of the person": float(person.mean()),
        "wrong labels whose person has a cluster": float(same[~right].any(1).double().mean()),
        "teacher's mass on it, for these": float(person[~right & same.any(1)].mean()),
    }


def _auc(right: Tensor, own: Tensor) -> float:
    both = right.any() and not right.all()
    return float(roc_auc_score(right.numpy(), own.numpy())) if both else math.nan


def gate_quality(passes: Tensor, right: Tensor) -> dict[str, float]:
    """Compute the share of labels that pass a gate, and of right labels on either side.

    Args:
        passes: ``[B]`` bool, True for labels that pass.
        right: ``[B]`` bool, True for right labels.
    """
    return {
        "labels that pass the gate": float(passes.double().mean()),
        "right among them": float(right[passes].double().mean()),
        "right among the others": float(right[~passes].double().mean()),
    }


def _soft_prototype(method: Any, epoch: Epoch) -> Figures:
    if not method.chosen or not method.config.soft_weights:
        return
    for modality in MODALITIES:
        choice, weights = method.chosen[modality], method.prototypes(modality).weights
        labels, identities = epoch.labels[modality], epoch.identities[modality]
        yield modality, prototype_purity(choice.index, choice.valid, weights, labels, identities)


def _sclhm(method: Any, epoch: Epoch) -> Figures:
    if not method.config.sscl:
        return

    def embed(batch: Batch) -> dict[Modality, Tensor]:
        teacher = method.embed_pair(batch)[1]
        return by_modality(teacher.tensor_split([len(teacher) - len(batch.infrared.index)]))

    taught = epoch.gather(embed)
    for modality, (features, labels, identities) in taught.items():
        soft = (features @ method.memories[modality].T / method.config.temperature).softmax(1)
        owners = majority_identities(epoch.labels[modality], epoch.identities[modality])
        yield modality, teacher_quality(soft, labels, owners, identities)


def _hil(method: Any, epoch: Epoch) -> Figures:
    c = method.config
    if (c.mccl, c.gate, c.mccl_memory, c.transfer) != (True, "agree", "shared", "ir_to_rgb"):
        return
    (centres,) = method.centres
    owners = majority_identities(
        epoch.labels["infrared"], epoch.identities["infrared"]
    )  # clusters are those of infrared images
    seen = epoch.gather(lambda batch: by_modality(method.embed_batch(batch)))
    for modality, (features, labels, identities) in seen.items():
        nearest = centres.clusters[multi_centre_loss(features, centres.rows)[1]]
        yield modality, gate_quality(nearest == labels, owners[labels] == identities)


ANALYSES: dict[str, Callable[[Any, Epoch], Figures]] = {
    "soft_prototype": _soft_prototype,
    "sclhm": _sclhm,
    "hil": _hil,
}


def replay_epoch(run: Run, plan: StagePlan) -> tuple[Method, Epoch]:
    """Restore a stage's method with its last weights and fresh memories; draw another epoch like its last one."""
    training = stage_training(run, plan, None, lambda method, epoch: [])
    method, saved = training.method, last_checkpoint(run, plan)
    for name, model in method.models().items():
        model.load_state_dict(saved.models[name])
    c = run.config
    others = {name: method.models()[name] for name in method.embeds}
    features = embed_all(method.encoder, *training.images, c.train.embed_batch, run.device, others)
    progress = StageProgress(plan.epochs - 1, plan.epochs, 0, c.train.iterations, plan.seed)
    with torch.no_grad():
        labels = method.label(features, progress)
        method.begin_epoch(features, labels, progress)
    views = (method.visible_views, method.infrared_views)
    draw = BatchSampler(training.images, labels, views, c.train, c.augment, progress, run.device)
    method.train()
    clusters, identities = by_modality(labels["clusters"]), by_modality(training.identities["clusters"])
    return method, Epoch(clusters, identities, draw, progress.steps)


def reload_run(folder: Path) -> Run:
    """Prepare the finished run of a folder again.

    Raises:
        UsageError: the run used real images, its trainings are missing, or code or settings have changed since.
    """
    record = read_record(folder / "record.json")
    if record.result.dataset["synthetic"] is None:
        raise UsageError(f"{folder}: runs on real images cannot be analysed; choose runs on synthetic people")
    output = next((parent for parent in folder.parents if (parent / "stages").is_dir()), None)
    if output is None:
        raise UsageError(f"{folder}: no parent folder contains stages/ with its trainings; run it again")
    run = replace(recorded_experiment(record), output=output, device="cpu", imports=()).prepare()
    if run.folder.name != folder.name:
        raise UsageError(f"{folder}: with the current code and settings this is {run.folder.name}; run it again")
    if unfinished := [plan.folder for plan in run.every_plan if not plan.finished]:
        raise UsageError(f"{folder}: its training {unfinished[0]} is missing; run it again")
    return run


def part_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Make a row for every figure of a run; none if its method is not analysed or was trained without the part."""
    record = read_record(folder / "record.json")
    if record.result.method not in ANALYSES:
        return
    run = reload_run(folder)
    for fold, plans in run.plans.items():
        with torch.no_grad():
            found = list(ANALYSES[record.result.method](*replay_epoch(run, plans[-1])))
        for modality, figures in found:
            for name, value in figures.items():
                shown = None if math.isnan(value) else round(value, DIGITS)
                yield {**run_key(record, fold), "modality": modality, "figure": name, "value": shown}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table to ``--csv``, or print it."""
    return write_table(arguments, "usvi_bench.analysis.part_quality", __doc__, KEY, part_rows)


if __name__ == "__main__":
    sys.exit(main())
