"""Draws of the parameters of an augmentation, for each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import torch
from torch import Tensor

from usvi_bench.components.constants import constant

UNCHANGED = 4
CHANNEL_STEP = {
    "plain": (0.0, 0.0, 0.0, 0.0, 1.0),
    "channel": (1 / 3, 1 / 3, 1 / 3, 0.0, 0.0),
    "infrared": (1 / 4, 1 / 4, 1 / 4, 1 / 8, 1 / 8),
}
"""Probabilities of each view that all channels become the first, the second, the third, the luma, or stay."""
_TRIES = 100


@dataclass(frozen=True, slots=True)
class AugmentParams:
    """Augmentation parameters of each image of a batch.

    Attributes:
        top: ``[B]`` int64 first row of the crop in the padded image.
        left: ``[B]`` int64 first column of the crop in the padded image.
        flip: ``[B]`` bool, True to mirror the crop.
        box: ``[B, 4]`` int64 erased box: top, left, height, width; height 0 erases nothing.
        channel: ``[B]`` int64 channel step: 0, 1 and 2 copy that channel to all, 3 copies the luma, 4 keeps colours.
    """

    top: Tensor
    left: Tensor
    flip: Tensor
    box: Tensor
    channel: Tensor


@dataclass(frozen=True, slots=True)
class ViewDraw:
    """View draw: the number of images of a view, and the generator of their parameters."""

    view: str
    batch: int
    generator: torch.Generator


def draw_params(
    views: Sequence[ViewDraw], height: int, width: int, *, pad: int, flip: float, erase: float
) -> AugmentParams:
    """Draw the parameters of several views, one view after another, on the device of their generators.

    Args:
        views: the views; the draws of one do not depend on the others.
        height: height of the images.
        width: width of the images.
        pad: number of zeros on every side before the crop.
        flip: probability of mirroring.
        erase: probability of erasing a box.
    """
    uniform, tries = (torch.cat(draws) for draws in zip(*(_draw(view) for view in views), strict=True))
    top, left = _integer(uniform[:, :2], 2 * pad + 1).unbind(1)
    thresholds = _thresholds(tuple((view.view, view.batch) for view in views), uniform.device)
    return AugmentParams(
        top=top,
        left=left,
        flip=uniform[:, 2] < flip,
        box=boxes_of(tries, height, width) * (uniform[:, 3:4] < erase),
        channel=(uniform[:, 4:] >= thresholds).sum(dim=1),
    )


def _draw(view: ViewDraw) -> tuple[Tensor, Tensor]:
    """Draw the uniform numbers of a view ``[B, 5]``, and those of its boxes."""
    batch, generator = view.batch, view.generator
    uniform = torch.rand(batch, 5, generator=generator, device=generator.device, dtype=torch.float64)
    return uniform, draw_tries(batch, generator)


def draw_tries(batch: int, generator: torch.Generator) -> Tensor:
    """Draw the uniform numbers of boxes ``[B, 202]``: 100 areas, 100 ratios, top and left."""
    return torch.rand(batch, 2 * _TRIES + 2, generator=generator, device=generator.device, dtype=torch.float64)


@lru_cache
def _thresholds(views: tuple[tuple[str, int], ...], device: torch.device) -> Tensor:
    """Return the thresholds of the channel step ``[B, 4]`` for views of given sizes."""
    rows = [(*accumulate(CHANNEL_STEP[view]),)[:-1] for view, size in views for _ in range(size)]
    return torch.tensor(rows, device=device, dtype=torch.float64)


def boxes_of(uniform: Tensor, height: int, width: int) -> Tensor:
    """Return the boxes to erase: ``[B, 4]`` int64 top, left, height, width.

    The area is uniform in 0.02 to 0.4 of the image, and the ratio of height to width uniform in 0.3 to 1/0.3. The first
    of 100 boxes that is smaller than the image in both directions is taken. If there is none, nothing is erased.

    Args:
        uniform: ``[B, 202]`` uniform numbers: 100 areas, 100 ratios, top and left.
        height: height of the images.
        width: width of the images.
    """
    size = constant((height, width), uniform.device, torch.int64)
    area = (0.02 + 0.38 * uniform[:, :_TRIES]) * height * width
    aspect = 0.3 + (1 / 0.3 - 0.3) * uniform[:, _TRIES:-2]
    sides = torch.stack([area * aspect, area / aspect], dim=1).sqrt().round().long()
    accepted = (sides < size[:, None]).all(dim=1, keepdim=True)
    first = accepted.int().argmax(dim=2, keepdim=True)
    chosen = (sides * accepted).gather(2, first.expand(-1, 2, -1)).squeeze(2)
    return torch.cat([_integer(uniform[:, -2:], size + 1 - chosen), chosen], dim=1)


def _integer(uniform: Tensor, count: Tensor | int) -> Tensor:
    """Convert uniform numbers in ``[0, 1)`` to uniform integers in ``[0, count)``."""
    return (uniform * count).long()
