"""Do the parts of trained methods know what is right? Soft weights, a teacher's trust and a gate against identities.

``python -m benchmarks.part_quality RUN... [--csv leaderboard/part_quality.csv]`` takes folders of finished runs whose
trainings still lie beside them in ``stages/``. The training images are labelled once more by the weights at the end of
training, and what the method would learn from in another epoch is compared with true identities: for diagnosis, after
training. A label is *right* where most images of its cluster are of the same person.

``soft_prototype``: are prototypes, and those with large weights, more often right than other images of their cluster?
``sclhm``: does the teacher trust right labels more than wrong ones, and does its soft assignment lie on the person?
``hil``: are labels that pass the gate of multi-centre contrast more often right than those that do not?
"""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from rich.console import Console
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn.functional import normalize

from components.modalities import by_modality
from components.sub_centres import multi_centre_loss
from engine.cli import parser as run_parser
from engine.cli import prepare
from engine.diagnosis import majority_identity
from engine.files import void, write_atomically
from engine.images import embed_all
from engine.progress import Progress
from engine.registry import UsageError
from engine.run import Run
from engine.types import MODALITIES, OUTLIER, Clock, Features, Modality, PseudoLabels
from leaderboard.record import read_record
from methods.base import Method
from reports.site.runs import command_of

Figures = Iterator[tuple[Modality, str, float]]
"""Modality, what is told, value."""


def majority(labels: Tensor, identities: Tensor) -> Tensor:
    """The most frequent identity of every cluster ``[K]``."""
    return torch.from_numpy(majority_identity(labels.numpy(), identities.numpy()))


def prototype_purity(index: Tensor, counts: Tensor, weights: Tensor, labels: Tensor, right: Tensor) -> dict[str, float]:
    """Share of right images among prototypes and others, each the mean over clusters.

    Args:
        index: ``[C, K]`` images that are a cluster's prototypes.
        counts: ``[C, K]`` False for slots that repeat one.
        weights: ``[C, K]``, rows sum to 1.
        labels: ``[N]`` clusters of all images.
        right: ``[N]`` bool.
    """
    hit = right[index].double()
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    chosen[index[counts]] = True
    members = labels == torch.arange(len(index))[:, None]
    others = members & ~chosen
    rest = (others & right).sum(1).double() / others.sum(1)
    return {
        "all images of a cluster": float(((members & right).sum(1) / members.sum(1)).mean()),
        "its prototypes": float(((hit * counts).sum(1) / counts.sum(1)).mean()),
        "its prototypes, by their weights": float((hit * weights).sum(1).mean()),
        "its other images": float(rest[others.any(1)].mean()),
    }


def trust(soft: Tensor, labels: Tensor, owners: Tensor, identities: Tensor) -> dict[str, float]:
    """What a soft assignment knows of the labels it softens.

    Args:
        soft: ``[B, K]`` a teacher's probabilities.
        labels: ``[B]`` clusters.
        owners: ``[K]`` majority identity of each cluster.
        identities: ``[B]``.
    """
    own = soft.gather(1, labels[:, None]).squeeze(1)
    right = owners[labels] == identities
    person = (soft * (owners == identities[:, None])).sum(1)
    return {
        "right labels": float(right.double().mean()),
        "teacher's mass on the label, where right": float(own[right].mean()),
        "teacher's mass on the label, where wrong": float(own[~right].mean()),
        "a right label has more mass than a wrong one": _auc(right, own),
        "teacher's mass on clusters of the person": float(person.mean()),
        "the same, where the label is wrong": float(person[~right].mean()),
    }


def _auc(right: Tensor, own: Tensor) -> float:
    both = right.any() and not right.all()
    return float(roc_auc_score(right.numpy(), own.numpy())) if both else math.nan


def gate(passes: Tensor, right: Tensor) -> dict[str, float]:
    """How many labels pass a gate, and how many are right on either side; both ``[B]`` bool."""
    return {
        "labels that pass the gate": float(passes.double().mean()),
        "right among them": float(right[passes].double().mean()),
        "right among the others": float(right[~passes].double().mean()),
    }


def _soft_prototype(method: Any, _: Features, labels: PseudoLabels, true: PseudoLabels) -> Figures:
    for modality, own, identities in _parts(labels, true) if method.chosen else ():
        choice, weights = method.chosen[modality], method.prototypes(modality).weights
        right = (own != OUTLIER) & (majority(own, identities)[own] == identities)
        for name, value in prototype_purity(choice.index, choice.counts, weights, own, right).items():
            yield modality, name, value


def _sclhm(method: Any, features: Features, labels: PseudoLabels, true: PseudoLabels) -> Figures:
    taught = by_modality((features.of["teacher"].visible, features.of["teacher"].infrared))
    for modality, own, identities in _parts(labels, true):
        kept = own != OUTLIER
        logits = normalize(taught[modality]) @ method.memories[modality].T / method.config.temperature
        known = trust(logits.softmax(1)[kept], own[kept], majority(own, identities), identities[kept])
        for name, value in known.items():
            yield modality, name, value


def _hil(method: Any, features: Features, labels: PseudoLabels, true: PseudoLabels) -> Figures:
    embedded = by_modality((features.visible, features.infrared))
    if not method.config.mccl or len(method.centres) > 1:
        return
    (centres,) = method.centres
    owners = majority(labels.infrared, true.infrared)  # clusters are those of infrared images
    for modality, own, identities in _parts(labels, true):
        kept = own != OUTLIER
        nearest = centres.clusters[multi_centre_loss(embedded[modality][kept], centres.rows)[1]]
        for name, value in gate(nearest == own[kept], owners[own[kept]] == identities[kept]).items():
            yield modality, name, value


QUESTIONS: dict[str, Callable[[Any, Features, PseudoLabels, PseudoLabels], Figures]] = {
    "soft_prototype": _soft_prototype,
    "sclhm": _sclhm,
    "hil": _hil,
}


def _parts(labels: PseudoLabels, true: PseudoLabels) -> Iterator[tuple[Modality, Tensor, Tensor]]:
    return zip(MODALITIES, labels.pair(), true.pair(), strict=True)


def another_epoch(run: Run) -> tuple[Method, Features, PseudoLabels, PseudoLabels]:
    """The method of a finished run with memories made by its last weights; features, pseudo-labels, identities."""
    plan = run.every_plan[-1]
    training = run.training(plan, None, last=False)
    method = training.method
    for name, model in method.models().items():
        model.load_state_dict(run.last_checkpoint(plan).models[name])
    others = {name: model for name, model in method.models().items() if name != "student"}
    batch, steps = run.config.train.embed_batch, run.config.train.iterations
    features = embed_all(method.encoder, *training.images, batch, run.device, others)
    clock = Clock(plan.epochs - 1, plan.epochs, 0, steps, plan.seed)
    with torch.no_grad():
        labels = method.label(features, clock)
        method.begin_epoch(features, labels, clock)
    return method, features, labels, training.identities


def rows(folder: Path) -> Iterator[dict[str, Any]]:
    """A row for every figure of a run; none where its method is not asked, or was trained without the part.

    Raises:
        UsageError: the trainings of the run are no longer there.
    """
    record = read_record(folder / "record.json")
    if record.result.method not in QUESTIONS:
        return
    words = shlex.split(command_of(record))[2:]
    output = next(parent.parent for parent in folder.parents if (parent.parent / "stages").is_dir())
    options = run_parser().parse_args([*words, "--device", "cpu", "--output", str(output), "--no-report"])
    run = prepare(options, Progress(console=Console(quiet=True)))
    if unfinished := [plan.folder for plan in run.every_plan if not plan.finished]:
        raise UsageError(f"{folder}: its training {unfinished[0]} is not there; train it again")
    row = str(record.provenance.get("ablation") or "").partition(": ")[2]
    whose = {"protocol": record.result.protocol, "method": record.result.method, "row": row, "seed": record.result.seed}
    for modality, figure, value in QUESTIONS[record.result.method](*another_epoch(run)):
        yield {**whose, "modality": modality, "figure": figure, "value": round(value, 4)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, or write it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.part_quality", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--csv", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        found = pd.DataFrame([row for folder in sorted(options.runs) for row in rows(folder.resolve())])
    except UsageError as error:
        raise SystemExit(str(error)) from error
    if found.empty:
        raise SystemExit(f"nothing to ask: the methods of these runs are not among {', '.join(QUESTIONS)}")
    text = found.to_csv(index=False, lineterminator="\n")
    if options.csv is None:
        print(text, end="")
    else:
        write_atomically(options.csv, lambda file: void(file.write(text.encode())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
