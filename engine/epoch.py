"""What the journal says of an epoch: where it stands, and what its labels were worth."""

from __future__ import annotations

from typing import Any

import torch

from engine.diagnosis import label_quality
from engine.memory import peak_memory_mib
from engine.plan import StagePlan
from engine.types import Clock, PseudoLabels
from methods.base import Method


def describe(
    plan: StagePlan, clock: Clock, labels: PseudoLabels, identities: PseudoLabels, method: Method, device: torch.device
) -> dict[str, Any]:
    """The entry of an epoch but for its losses and costs.

    Args:
        plan: stage that the epoch belongs to.
        clock: the epoch.
        labels: what the method made of the images.
        identities: what they are; for the diagnosis alone.
        method: asked for its own figures.
        device: where it trains.
    """
    parts = {"visible": labels.visible, "infrared": labels.infrared}
    true = {"visible": identities.visible, "infrared": identities.infrared}
    return {
        "kind": "epoch",
        "fold": plan.fold,
        "stage": plan.method,
        "stage_index": plan.position,
        "epoch": clock.epoch,
        "epochs": clock.epochs,
        "steps": clock.steps,
        "iteration": (clock.epoch + 1) * clock.steps,
        "images": {name: len(part) for name, part in parts.items()},
        "clusters": {name: int(part.max()) + 1 for name, part in parts.items()},
        "outliers": {name: int((part < 0).sum()) for name, part in parts.items()},
        "identities": {name: len(part.unique()) for name, part in true.items()},
        "quality": label_quality(labels, *(part.cpu().numpy() for part in true.values())),
        "diagnostics": {name: float(value) for name, value in method.diagnostics().items()},
        "peak_memory_mib": peak_memory_mib(device),
    }
