"""Augmentation of whole batches on their device, with parameters drawn for each image and applied without loops.

The steps are those of ADCA (yangbincv/ADCA @8d0a8cb): zero padding, random crop, mirroring, normalisation, random
erasing, and for two of the views a step that removes colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from usvi_bench.components.constants import constant
from usvi_bench.components.jitter import jitter
from usvi_bench.core.bounds import bounded, check_bounds
from usvi_bench.core.errors import UsageError, did_you_mean

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ERASED = (0.4914, 0.4822, 0.4465)
"""Fill of an erased box, set after normalisation (the mean of CIFAR-10, as in the released code)."""
LUMA = (0.2989, 0.5870, 0.1140)

UNCHANGED = 4
_PLANES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), LUMA)
_CHANNEL_STEP = {
    "plain": (0.0, 0.0, 0.0, 0.0, 1.0),
    "channel": (1 / 3, 1 / 3, 1 / 3, 0.0, 0.0),
    "infrared": (1 / 4, 1 / 4, 1 / 4, 1 / 8, 1 / 8),
}
"""Probabilities of each view that all channels become the first, the second, the third, the luma, or stay."""
VIEWS = tuple(_CHANNEL_STEP)
"""Names of the views."""
_TRIES = 100


@dataclass(frozen=True)
class AugmentConfig:
    """Augmentation settings.

    Attributes:
        pad: black pixels added on every side before the crop to the size of the image.
        flip: probability of mirroring.
        erase: probability of erasing a box.
        jitter: strength of colour jitter on the ``channel`` and ``infrared`` views; 0.5 in PGM, 0 (off) in ADCA.
    """

    pad: int = bounded(10, 0, 128)
    flip: float = bounded(0.5, 0, 1)
    erase: float = bounded(0.5, 0, 1)
    jitter: float = bounded(0.0, 0, 0.5)

    def __post_init__(self) -> None:
        check_bounds(self, "augment")


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


def augment(images: Tensor, view: str, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Augment a batch of images for one view.

    Args:
        images: ``[B, H, W, 3]`` uint8.
        view: ``plain``, ``channel`` (a random channel of each image is copied to all) or ``infrared``.
        config: augmentation settings.
        generator: generator of all parameters. It may be on another device than the images; then parameters are drawn
            there and moved, and do not depend on the device of the images.

    Returns:
        ``[B, 3, H, W]`` float32, normalised.

    Raises:
        UsageError: unknown view.
    """
    if view not in _CHANNEL_STEP:
        raise UsageError(f"unknown view '{view}': {did_you_mean(view, _CHANNEL_STEP)}")
    batch, height, width, _ = images.shape
    params = sample_params(batch, height, width, view, config, generator)
    pixels = crop(images, params.top, params.left, params.flip, config.pad)
    if config.jitter and view != "plain":
        pixels = jitter(pixels, config.jitter, generator)
    erased = erase(normalise(pixels), params.box)
    return erased if view == "plain" else recolour(erased, params.channel)


def normalise(images: Tensor) -> Tensor:
    """Normalise by the ImageNet statistics: ``[B, H, W, 3]`` uint8 to ``[B, 3, H, W]`` float32."""
    mean, std = (constant(values, images.device).view(3, 1, 1) for values in (MEAN, STD))
    planes = images.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    return planes.mul_(1 / (255 * std)).sub_(mean / std)


def sample_params(
    batch: int, height: int, width: int, view: str, config: AugmentConfig, generator: torch.Generator
) -> AugmentParams:
    """Draw the augmentation parameters of a batch, on the device of the generator."""
    uniform = torch.rand(batch, 5, generator=generator, device=generator.device, dtype=torch.float64)
    thresholds = constant((*accumulate(_CHANNEL_STEP[view]),)[:-1], generator.device, torch.float64)
    box = draw_box(batch, height, width, generator)
    return AugmentParams(
        top=_integer(uniform[:, 0], 2 * config.pad + 1),
        left=_integer(uniform[:, 1], 2 * config.pad + 1),
        flip=uniform[:, 2] < config.flip,
        box=box * (uniform[:, 3] < config.erase)[:, None],
        channel=(uniform[:, 4:] >= thresholds).sum(dim=1),
    )


def draw_box(batch: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Draw boxes to erase: ``[batch, 4]`` int64 top, left, height, width.

    The area is uniform in 0.02 to 0.4 of the image, and the ratio of height to width uniform in 0.3 to 1/0.3. The first
    of 100 boxes that is smaller than the image in both directions is taken. If there is none, nothing is erased.
    """
    uniform = torch.rand(batch, 2 * _TRIES + 2, generator=generator, device=generator.device, dtype=torch.float64)
    area = (0.02 + 0.38 * uniform[:, :_TRIES]) * height * width
    aspect = 0.3 + (1 / 0.3 - 0.3) * uniform[:, _TRIES:-2]
    tall, wide = (area * aspect).sqrt().round().long(), (area / aspect).sqrt().round().long()
    accepted = (tall < height) & (wide < width)
    first = accepted.int().argmax(dim=1, keepdim=True)
    tall, wide = (tried.gather(1, first).squeeze(1) for tried in (tall * accepted, wide * accepted))
    top = _integer(uniform[:, -2], height - tall + 1)
    left = _integer(uniform[:, -1], width - wide + 1)
    return torch.stack([top, left, tall, wide], dim=1)


def _integer(uniform: Tensor, count: Tensor | int) -> Tensor:
    """Convert uniform numbers in ``[0, 1)`` to uniform integers in ``[0, count)``."""
    return (uniform * count).long()


def crop(images: Tensor, top: Tensor, left: Tensor, flip: Tensor, pad: int) -> Tensor:
    """Crop images, at their own size, out of images padded with zeros, and mirror some of them.

    Args:
        images: ``[B, H, W, 3]`` uint8.
        top: ``[B]`` first row of the crop in the padded image.
        left: ``[B]`` first column of the crop in the padded image.
        flip: ``[B]`` bool, True to mirror the crop.
        pad: number of zeros on every side.
    """
    batch, height, width, channels = images.shape
    top, left, flip = (values.to(images.device)[:, None] for values in (top, left, flip))
    rows = torch.arange(height, device=images.device) + top
    columns = torch.arange(width, device=images.device)
    columns = torch.where(flip, width - 1 - columns, columns) + left
    padded = torch.nn.functional.pad(images, (0, 0, pad, pad, pad, pad))
    image = torch.arange(batch, device=images.device)[:, None] * padded.shape[1]
    index = (image + rows)[:, :, None] * padded.shape[2] + columns[:, None, :]
    return padded.view(-1, channels)[index.view(-1)].view(images.shape)


def erase(images: Tensor, box: Tensor) -> Tensor:
    """Fill the box ``[B, 4]`` (top, left, height, width) of each ``[B, 3, H, W]`` image with ``ERASED``."""
    top, left, tall, wide = (values[:, None] for values in box.to(images.device).unbind(1))
    rows = torch.arange(images.shape[2], device=images.device)
    columns = torch.arange(images.shape[3], device=images.device)
    inside_rows = (rows >= top) & (rows < top + tall)
    inside_columns = (columns >= left) & (columns < left + wide)
    inside = inside_rows[:, None, :, None] & inside_columns[:, None, None, :]
    return torch.where(inside, constant(ERASED, images.device).view(1, 3, 1, 1), images)


def recolour(images: Tensor, channel: Tensor) -> Tensor:
    """Copy one plane of each ``[B, 3, H, W]`` image to all channels, by ``channel`` of :class:`AugmentParams`."""
    channel = channel.to(images.device)
    mix = constant(_PLANES, images.device)[channel.clamp(max=UNCHANGED - 1)]
    plane = (images * mix[:, :, None, None]).sum(dim=1, keepdim=True)
    return torch.where((channel == UNCHANGED)[:, None, None, None], images, plane)
