"""Colour jitter of a batch: brightness, contrast, saturation and hue, in a random order for each image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from usvi_bench.components import jitter_8bit
from usvi_bench.components.constants import constant

Operations = tuple[Callable[[Tensor, Tensor], Tensor], ...]
"""Brightness, contrast, saturation and hue: functions of pixels and amounts."""
_GREY = (0.2989, 0.587, 0.114)


def draw_jitter(count: int, generator: torch.Generator) -> Tensor:
    """Draw the numbers that :func:`jitter` needs for ``count`` images, on the device of the generator."""
    return torch.rand(count, 8, generator=generator, device=generator.device)


def jitter(images: Tensor, strength: float, uniform: Tensor, eight_bit: bool = False) -> Tensor:
    """Jitter colours as torchvision's ``ColorJitter(strength, strength, strength, strength)``, with draws per image.

    PGM (zesenwu23/USL-VI-ReID @ed4a7df) uses a strength of 0.5.

    Args:
        images: ``[B, H, W, 3]`` uint8.
        strength: strength in ``[0, 0.5]``. Factors are uniform in ``1 -+ strength``, and the hue shift in
            ``-+ strength`` turns.
        uniform: ``[B, 8]`` numbers of :func:`draw_jitter`.
        eight_bit: see :func:`apply_jitter`.

    Returns:
        ``[B, H, W, 3]`` uint8.
    """
    uniform = uniform.to(images.device)
    order = uniform[:, 4:].argsort(dim=1)
    amounts = (2 * uniform[:, :4] - 1) * strength
    return apply_jitter(images, amounts, order, eight_bit)


def apply_jitter(images: Tensor, amounts: Tensor, order: Tensor, eight_bit: bool = False) -> Tensor:
    """Apply given amounts of jitter.

    Args:
        images: ``[B, H, W, 3]`` uint8.
        amounts: ``[B, 4]`` brightness, contrast and saturation (each is the factor minus one), and hue shift in turns.
        order: ``[B, K]`` order of K operations of each image; 0 to 3 are the columns of ``amounts``.
        eight_bit: compute each operation in whole numbers as Pillow does, instead of rounding once at the end.
    """
    pixels = images.float() if eight_bit else images.float() / 255
    operations = _EIGHT_BIT if eight_bit else _OPERATIONS
    turn = _everywhere if pixels.is_cuda else _where_due
    for due in order.unbind(dim=1):
        pixels = turn(pixels, amounts, due, operations)
    return (pixels if eight_bit else (pixels * 255).round()).to(torch.uint8)


def _where_due(pixels: Tensor, amounts: Tensor, due: Tensor, operations: Operations) -> Tensor:
    """Apply each operation to the images that are due for it."""
    for number, operation in enumerate(operations):
        chosen = due == number
        pixels[chosen] = operation(pixels[chosen], amounts[chosen, number, None, None, None])
    return pixels


def _everywhere(pixels: Tensor, amounts: Tensor, due: Tensor, operations: Operations) -> Tensor:
    """Apply all operations to all images and select; four times the work, but the host never waits for the device."""
    result = pixels
    for number, operation in enumerate(operations):
        chosen = (due == number)[:, None, None, None]
        result = torch.where(chosen, operation(pixels, amounts[:, number, None, None, None]), result)
    return result


def _grey(pixels: Tensor) -> Tensor:
    return (pixels * constant(_GREY, pixels.device)).sum(dim=3, keepdim=True)


def _brightness(pixels: Tensor, amount: Tensor) -> Tensor:
    return (pixels * (1 + amount)).clamp(0, 1)


def _contrast(pixels: Tensor, amount: Tensor) -> Tensor:
    return torch.lerp(_grey(pixels).mean(dim=(1, 2), keepdim=True), pixels, 1 + amount).clamp(0, 1)


def _saturation(pixels: Tensor, amount: Tensor) -> Tensor:
    return torch.lerp(_grey(pixels), pixels, 1 + amount).clamp(0, 1)


def _hue(pixels: Tensor, amount: Tensor) -> Tensor:
    """Turn the hue in HSV space: each channel is ``value - chroma * ramp(position on the colour wheel)``."""
    value, chroma = pixels.amax(dim=3), pixels.amax(dim=3) - pixels.amin(dim=3)
    red, green, blue = pixels.unbind(dim=3)
    safe = chroma.clamp(min=1e-12)
    sector = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    turned = sector[..., None] + 6 * amount + constant((5.0, 3.0, 1.0), pixels.device)
    position = turned.remainder(6)
    ramp = torch.minimum(position, 4 - position).clamp(0, 1)
    return value[..., None] - chroma[..., None] * ramp


_OPERATIONS: Operations = (_brightness, _contrast, _saturation, _hue)
_EIGHT_BIT: Operations = (jitter_8bit.brightness, jitter_8bit.contrast, jitter_8bit.saturation, jitter_8bit.hue)
