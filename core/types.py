"""Data types that methods, components and the engine exchange.

None of them holds an identity: a method receives images and cameras, and makes its own pseudo-labels. The exception
is a method with ``uses_identities = True``, which receives true identities as :class:`PseudoLabels`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor

from usvi_bench.core.seeding import derive

Modality = Literal["visible", "infrared"]
MODALITIES: tuple[Modality, Modality] = ("visible", "infrared")

OUTLIER = -1
"""Label of an image without a cluster; samplers that draw by cluster leave it out in that epoch."""


@dataclass(frozen=True, slots=True)
class Features:
    """Features of all training images, in data-set order, computed once an epoch without augmentation.

    A row is the mean of the unit features of an image and of its mirror image. The mean is not normalised; its norm is
    at most 1.

    Attributes:
        visible: ``[N, D]`` float32.
        infrared: ``[M, D]`` float32.
        visible_cameras: ``[N]`` int64 camera numbers, which are metadata of the recording and not labels.
        infrared_cameras: ``[M]`` int64.
        by_model: features of the same images from each model in the ``embeds`` of a method.
    """

    visible: Tensor
    infrared: Tensor
    visible_cameras: Tensor
    infrared_cameras: Tensor
    by_model: Mapping[str, Features] = field(default_factory=lambda: MappingProxyType({}))

    def normalised(self) -> Features:
        """Return the features with rows of unit length."""
        unit = torch.nn.functional.normalize
        return replace(self, visible=unit(self.visible, dim=1), infrared=unit(self.infrared, dim=1))


@dataclass(frozen=True, slots=True)
class PseudoLabels:
    """Pseudo-labels of one epoch: the cluster of every training image; ``-1`` marks an outlier.

    Attributes:
        visible: ``[N]`` int64 cluster of each visible image.
        infrared: ``[M]`` int64 cluster of each infrared image.
        extra: further (visible, infrared) pairs of vectors by name. ``joint_clusters`` are clusters over both
            modalities, for memories; ``joint`` are those of them that batches are drawn from. ``matched`` are classes
            that associated clusters of the two modalities share, for paired batches. ``partners`` has an
            entry for each cluster, not for each image: its partner in the other modality, ``[Kv]`` and ``[Ki]``,
            or -1.
        visible_to_infrared: ``[Kv]`` infrared partner of each visible cluster, or -1, if the method associates
            clusters. The journal's diagnosis reads it.
    """

    visible: Tensor
    infrared: Tensor
    extra: Mapping[str, tuple[Tensor, Tensor]] = field(default_factory=lambda: MappingProxyType({}))
    visible_to_infrared: Tensor | None = None

    def __getitem__(self, name: str) -> tuple[Tensor, Tensor]:
        """Return the (visible, infrared) pair of that name: ``"clusters"``, or a key of ``extra``."""
        return (self.visible, self.infrared) if name == "clusters" else self.extra[name]

    def copy(self) -> PseudoLabels:
        """Return equal labels with tensors of their own, which writes into these do not change."""
        extra = {name: (first.clone(), second.clone()) for name, (first, second) in self.extra.items()}
        partner = None if self.visible_to_infrared is None else self.visible_to_infrared.clone()
        return PseudoLabels(self.visible.clone(), self.infrared.clone(), extra, partner)

    def to_plain(self) -> dict[str, Any]:
        """Return the fields as tensors in plain dictionaries, which processes can exchange."""
        return {**{item.name: getattr(self, item.name) for item in fields(self)}, "extra": dict(self.extra)}


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of one modality in a batch.

    Attributes:
        views: augmented tensors ``[B, 3, H, W]`` of the same images, one for each view that the method requests.
        labels: ``[B]`` int64 clusters.
        index: ``[B]`` int64 rows of the images in :class:`Features`.
        most_repeats: largest number of times that an image is in ``index``; the host need not wait for it. 0: unknown.
        view_labels: ``[views * B]`` labels of all views, one view after another.
    """

    views: tuple[Tensor, ...]
    labels: Tensor
    index: Tensor
    most_repeats: int = 0
    view_labels: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "view_labels", self.labels.repeat(len(self.views)))


@dataclass(frozen=True, slots=True)
class Batch:
    """Batch of both modalities; their clusters are drawn independently, or are the same in a paired batch."""

    visible: Samples
    infrared: Samples


@dataclass(frozen=True, slots=True)
class StageProgress:
    """Progress of a stage, and the seed of random draws at this point.

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
        """Number of steps of the stage before this one."""
        return self.epoch * self.steps + self.step

    @property
    def iterations(self) -> int:
        """Number of steps of the whole stage."""
        return self.epochs * self.steps

    @property
    def fraction(self) -> float:
        """Elapsed fraction of the stage at the start of this epoch, in ``[0, 1)``."""
        return self.epoch / self.epochs

    def seed_for(self, *purpose: str | int) -> int:
        """Derive a seed for one purpose at this step."""
        return derive(self.seed, *purpose, self.iteration)


Losses = dict[str, Tensor]
"""Scalar losses by name; the optimiser minimises their sum."""

NextBatch = Callable[..., Batch]
"""Function ``draw(labels="clusters", extra=0, paired=False) -> Batch`` that draws by the named pair of label vectors.

Every view ends with ``extra`` images of its modality, which are drawn from all images, outliers included. A paired
batch has the same clusters in both modalities: as many as visible clusters in another batch, each with images of both.
"""

Optimise = Callable[[Losses], None]
"""Function that takes one optimiser step on the sum of the losses."""
