"""The nouns that methods, components and the engine exchange.

None of them carries an identity: a method sees images, cameras and the pseudo-labels it made itself. The one
exception is a method that declares ``uses_identities``; it receives true identities in the form of
:class:`PseudoLabels`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor

from usvi_bench.core.seeding import derive

Modality = Literal["visible", "infrared"]
MODALITIES: tuple[Modality, Modality] = ("visible", "infrared")

OUTLIER = -1
"""Label of an image that belongs to no cluster; such images are not drawn by cluster in that epoch."""


@dataclass(frozen=True, slots=True)
class Features:
    """Embedding of every training image, in data-set order, made once an epoch without augmentation.

    A row is the mean of the unit features of an image and of its mirror; the mean itself is not normalised
    (its norm is at most 1).

    Attributes:
        visible: ``[N, D]`` float32.
        infrared: ``[M, D]`` float32.
        visible_cameras: ``[N]`` int64 camera numbers (metadata of the recording, not labels).
        infrared_cameras: ``[M]`` int64.
        by_model: the same images embedded by the models that a method names in ``embeds``.
    """

    visible: Tensor
    infrared: Tensor
    visible_cameras: Tensor
    infrared_cameras: Tensor
    by_model: Mapping[str, Features] = field(default_factory=lambda: MappingProxyType({}))

    def normalised(self) -> Features:
        """The same features with unit rows."""
        unit = torch.nn.functional.normalize
        return replace(self, visible=unit(self.visible, dim=1), infrared=unit(self.infrared, dim=1))


@dataclass(frozen=True, slots=True)
class PseudoLabels:
    """Cluster of every training image for one epoch; ``-1`` marks an outlier.

    Attributes:
        visible: ``[N]`` int64 cluster of each visible image.
        infrared: ``[M]`` int64 cluster of each infrared image.
        extra: further pairs of vectors, for the visible and the infrared side, by name. By ``joint`` a method draws
            batches: clusters found over both modalities, as far as they may be drawn; ``joint_clusters`` are all of
            these, for memories. ``partners`` holds clusters, not images: the partner of each cluster in the other
            modality, ``[Kv]`` and ``[Ki]`` (-1: none).
        visible_to_infrared: ``[Kv]`` infrared partner of each visible cluster (-1: none), where the method
            associates clusters: for the journal's diagnosis, and for the method itself.
    """

    visible: Tensor
    infrared: Tensor
    extra: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=lambda: MappingProxyType({}))
    visible_to_infrared: Tensor | None = None

    def __getitem__(self, name: str) -> tuple[Tensor, Tensor]:
        """The (visible, infrared) clusters, or what ``extra`` has by that name."""
        return (self.visible, self.infrared) if name == "clusters" else self.extra[name]

    def picklable(self) -> PseudoLabels:
        """The same labels in a form that can be sent to another process."""
        return replace(self, extra=dict(self.extra))


@dataclass(frozen=True, slots=True)
class Samples:
    """One modality's part of a batch.

    Attributes:
        views: augmented tensors ``[B, 3, H, W]``, one per view the method asked for, all of the same images.
        labels: ``[B]`` int64 clusters.
        index: ``[B]`` int64 rows in :class:`Features` of that modality, which also has the cameras.
    """

    views: tuple[Tensor, ...]
    labels: Tensor
    index: Tensor

    @property
    def view_labels(self) -> Tensor:
        """Labels of all views ``[views * B]``, view after view."""
        return self.labels.repeat(len(self.views))


@dataclass(frozen=True, slots=True)
class Batch:
    """One draw from each modality; the clusters of the two parts are unrelated."""

    visible: Samples
    infrared: Samples


@dataclass(frozen=True, slots=True)
class StageProgress:
    """Where a stage stands, and the seed that draws made at this point derive from.

    Attributes:
        epoch: zero-based epoch of the stage.
        epochs: number of epochs of the stage.
        step: zero-based step within the epoch.
        steps: steps an epoch.
        seed: seed of the run.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    seed: int

    @property
    def iteration(self) -> int:
        """Steps of the stage taken so far."""
        return self.epoch * self.steps + self.step

    @property
    def iterations(self) -> int:
        """Steps of the whole stage."""
        return self.epochs * self.steps

    @property
    def fraction(self) -> float:
        """Elapsed fraction of the stage at the start of this epoch, in ``[0, 1)``."""
        return self.epoch / self.epochs

    def seed_for(self, *purpose: str | int) -> int:
        """A seed for one draw at this step, independent of every other purpose and step."""
        return derive(self.seed, *purpose, self.iteration)


Losses = dict[str, Tensor]
"""Named scalar losses; their sum is minimised."""

NextBatch = Callable[..., Batch]
"""``draw(labels="clusters", extra=0) -> Batch``: the next batch drawn by the named pair of label vectors.

``extra`` images of each modality follow at the end of every view, drawn from all of them, outliers included.
"""

Optimise = Callable[[Losses], None]
"""One optimiser step on the sum of the given losses."""
