"""Augmentation of whole batches on their device, with parameters drawn for each image and applied without loops.

The steps are those of ADCA (yangbincv/ADCA @8d0a8cb): zero padding, random crop, mirroring, normalisation, random
erasing, and for two of the views a step that removes colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from usvi_bench.components.augment_draws import CHANNEL_STEP, UNCHANGED, ViewDraw, draw_params
from usvi_bench.components.constants import constant
from usvi_bench.components.jitter import draw_jitter, jitter
from usvi_bench.core.bounds import bounded, check_bounds
from usvi_bench.core.errors import UsageError, did_you_mean

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ERASED = (0.4914, 0.4822, 0.4465)
"""Fill of an erased box, set after normalisation (the mean of CIFAR-10, as in the released code)."""
LUMA = (0.2989, 0.5870, 0.1140)

_PLANES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), LUMA)
VIEWS = tuple(CHANNEL_STEP)
"""Names of the views."""


@dataclass(frozen=True)
class AugmentConfig:
    """Augmentation settings.

    Attributes:
        pad: black pixels added on every side before the crop to the size of the image.
        flip: probability of mirroring.
        erase: probability of erasing a box.
        jitter: strength of colour jitter on the ``channel`` and ``infrared`` views; 0.5 in PGM, 0 (off) in ADCA.
        jitter_8bit: compute every operation of the jitter in whole numbers, as released codes do by Pillow. The form
            ``released`` of a method has it unless ``--set`` gives another value.
    """

    pad: int = bounded(10, 0, 128)
    flip: float = bounded(0.5, 0, 1)
    erase: float = bounded(0.5, 0, 1)
    jitter: float = bounded(0.0, 0, 0.5)
    jitter_8bit: bool = False

    def __post_init__(self) -> None:
        check_bounds(self, "augment")


@dataclass(frozen=True, slots=True)
class ViewRequest:
    """View request: images of one size, and how to augment them.

    Attributes:
        images: ``[B, H, W, 3]`` uint8.
        view: ``plain``, ``channel`` (a random channel of each image is copied to all) or ``infrared``.
        generator: generator of all parameters of the view. It may be on another device than the images; then parameters
            are drawn there and moved, and do not depend on the device of the images.
    """

    images: Tensor
    view: str
    generator: torch.Generator

    def __post_init__(self) -> None:
        if self.view not in CHANNEL_STEP:
            raise UsageError(f"unknown view '{self.view}': {did_you_mean(self.view, CHANNEL_STEP)}")


def augment(images: Tensor, view: str, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Augment a batch of images for one view; see :class:`ViewRequest`.

    Returns:
        ``[B, 3, H, W]`` float32, normalised.

    Raises:
        UsageError: unknown view.
    """
    return augment_views([ViewRequest(images, view, generator)], config)[0]


def augment_views(requests: Sequence[ViewRequest], config: AugmentConfig) -> list[Tensor]:
    """Augment several batches.

    A GPU augments them together, which starts as many operations as one batch does. A CPU augments one after another,
    because larger tensors do not fit into its cache. The results are equal bit for bit.

    Args:
        requests: the views, each with its own generator; all images have one size and one device.
        config: augmentation settings.

    Returns:
        The result of :func:`augment` for each request.
    """
    if requests and requests[0].images.is_cuda:
        return _augment_together(requests, config)
    return [_augment_together([request], config)[0] for request in requests]


def _augment_together(requests: Sequence[ViewRequest], config: AugmentConfig) -> list[Tensor]:
    """Augment several batches as one: plain views first, because the steps that change colours leave them out."""
    order = sorted(range(len(requests)), key=lambda number: requests[number].view != "plain")
    ordered = [requests[number] for number in order]
    sizes = [len(request.images) for request in ordered]
    plain = sum(size for size, request in zip(sizes, ordered, strict=True) if request.view == "plain")
    coloured = [request for request in ordered if request.view != "plain"]
    images = torch.cat([request.images for request in ordered]) if len(ordered) > 1 else ordered[0].images
    draws = [ViewDraw(request.view, len(request.images), request.generator) for request in ordered]
    params = draw_params(draws, *images.shape[1:3], pad=config.pad, flip=config.flip, erase=config.erase)
    pixels = crop(images, params.top, params.left, params.flip, config.pad)
    if config.jitter and coloured:
        uniform = torch.cat([draw_jitter(len(request.images), request.generator) for request in coloured])
        pixels[plain:] = jitter(pixels[plain:], config.jitter, uniform, config.jitter_8bit)
    erased = erase(normalise(pixels), params.box)
    first = erased[:plain].split(sizes[: len(sizes) - len(coloured)])
    rest = recolour(erased[plain:], params.channel[plain:]).split(sizes[len(first) :]) if coloured else ()
    views = [*first, *rest]
    return [views[order.index(number)] for number in range(len(requests))]


def normalise(images: Tensor) -> Tensor:
    """Normalise by the ImageNet statistics: ``[B, H, W, 3]`` uint8 to ``[B, 3, H, W]`` float32."""
    scale, shift = _normalisation(images.device)
    planes = images.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    return planes.mul_(scale).sub_(shift)


@lru_cache
def _normalisation(device: torch.device) -> tuple[Tensor, Tensor]:
    mean, std = (constant(values, device).view(3, 1, 1) for values in (MEAN, STD))
    return 1 / (255 * std), mean / std


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
    padded = torch.nn.functional.pad(images, (0, 0, pad, pad, pad, pad))
    tall, wide = padded.shape[1:3]
    rows = _numbers(range(height), images) + top
    columns = torch.where(flip, _numbers(range(width - 1, -1, -1), images), _numbers(range(width), images)) + left
    image = _numbers(range(0, batch * tall, tall), images)[:, None]
    index = ((image + rows) * wide)[:, :, None] + columns[:, None, :]
    return padded.view(-1, channels)[index.view(-1)].view(images.shape)


def _numbers(values: range, like: Tensor) -> Tensor:
    return constant(values, like.device, torch.int64)


def erase(images: Tensor, box: Tensor) -> Tensor:
    """Fill the box ``[B, 4]`` (top, left, height, width) of each ``[B, 3, H, W]`` image with ``ERASED``."""
    box = box.to(images.device)
    begin, end = box[:, :2], box[:, :2] + box[:, 2:]
    rows, columns = (_numbers(range(images.shape[axis]), images) for axis in (2, 3))
    inside_rows = (rows >= begin[:, :1]) & (rows < end[:, :1])
    inside_columns = (columns >= begin[:, 1:]) & (columns < end[:, 1:])
    inside = inside_rows[:, None, :, None] & inside_columns[:, None, None, :]
    return torch.where(inside, constant(ERASED, images.device).view(1, 3, 1, 1), images)


def recolour(images: Tensor, channel: Tensor) -> Tensor:
    """Copy one plane of each ``[B, 3, H, W]`` image to all channels, by ``channel`` of :class:`AugmentParams`."""
    channel = channel.to(images.device)
    mix = constant(_PLANES, images.device)[channel.clamp(max=UNCHANGED - 1)]
    plane = (images * mix[:, :, None, None]).sum(dim=1, keepdim=True)
    return torch.where((channel == UNCHANGED)[:, None, None, None], images, plane)
