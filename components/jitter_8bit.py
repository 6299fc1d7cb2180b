"""Colour operations on 8-bit values as Pillow computes them: every result is cut or rounded to a whole number.

Each takes pixels ``[B, H, W, 3]`` that hold the whole numbers 0 to 255, and amounts ``[B, 1, 1, 1]`` as in
:func:`usvi_bench.components.jitter.apply_jitter`. The rules are those of Pillow's ``Image.blend`` and of its
conversions to ``L`` and ``HSV``, which torchvision's ``ColorJitter`` uses.
"""

from __future__ import annotations

import torch
from torch import Tensor

from usvi_bench.components.constants import constant

_LUMA = (19595.0, 38470.0, 7471.0)
"""Weights of the grey value, in units of 1 / 65536."""
_VALUE, _RISING, _LOW, _FALLING = range(4)
_CHANNELS = (
    (_VALUE, _RISING, _LOW),
    (_FALLING, _VALUE, _LOW),
    (_LOW, _VALUE, _RISING),
    (_LOW, _FALLING, _VALUE),
    (_RISING, _LOW, _VALUE),
    (_VALUE, _LOW, _FALLING),
)
"""Values of red, green and blue in each sixth of the colour wheel."""


def brightness(pixels: Tensor, amount: Tensor) -> Tensor:
    """Blend with black."""
    return _blend(torch.zeros_like(pixels), pixels, amount)


def contrast(pixels: Tensor, amount: Tensor) -> Tensor:
    """Blend with the mean grey value of the image."""
    return _blend((_grey(pixels).double().mean(dim=(1, 2), keepdim=True) + 0.5).floor().float(), pixels, amount)


def saturation(pixels: Tensor, amount: Tensor) -> Tensor:
    """Blend with the grey image."""
    return _blend(_grey(pixels), pixels, amount)


def hue(pixels: Tensor, amount: Tensor) -> Tensor:
    """Turn the hue in HSV space, whose three numbers have 8 bits too."""
    wheel, strength, value = _to_hsv(pixels)
    return _to_rgb((wheel + (amount.squeeze(3) * 255).trunc()).remainder(256), strength, value)


def _blend(degenerate: Tensor, pixels: Tensor, amount: Tensor) -> Tensor:
    return (degenerate + (1 + amount) * (pixels - degenerate)).clamp(0, 255).floor()


def _grey(pixels: Tensor) -> Tensor:
    total = (pixels.double() * constant(_LUMA, pixels.device).double()).sum(dim=3, keepdim=True)
    return ((total + 32768) / 65536).floor().float()


def _to_hsv(pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Convert to hue, saturation and value, each ``[B, H, W]`` in whole numbers from 0 to 255."""
    red, green, _ = pixels.unbind(dim=3)
    value = pixels.amax(dim=3)
    chroma = value - pixels.amin(dim=3)
    safe = chroma.clamp(min=1)
    r, g, b = ((value[..., None] - pixels) / safe[..., None]).double().unbind(dim=3)
    sixths = torch.where(value == red, b - g, torch.where(value == green, 2 + r - b, 4 + g - r)).float()
    wheel = (sixths.double() / 6 + 1).remainder(1).float()
    strength = chroma / value.clamp(min=1)
    return _whole(wheel) * (chroma > 0), _whole(strength), value


def _whole(share: Tensor) -> Tensor:
    return (share.double() * 255).floor().float()


def _to_rgb(wheel: Tensor, strength: Tensor, value: Tensor) -> Tensor:
    """Convert hue, saturation and value, each ``[B, H, W]`` in whole numbers from 0 to 255, to ``[B, H, W, 3]``."""
    place = wheel.double() * 6 / 255
    sector = place.floor()
    beyond, share = (place - sector).float().double(), (strength.double() / 255).float().double()
    falls = (1 - share * (1 - beyond), 1 - share, 1 - share * beyond)
    levels = torch.stack([value, *((value * fall + 0.5).floor().float() for fall in falls)], dim=3)
    chosen = constant(_CHANNELS, wheel.device, torch.int64)[sector.long() % 6]
    return levels.gather(3, chosen)
