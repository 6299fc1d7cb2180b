"""Conversion of light to pixels: blur, illumination, exposure, colour, tone, noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from usvi_bench.synthetic.arithmetic import exponential, power, sine
from usvi_bench.synthetic.cameras import Camera
from usvi_bench.synthetic.climate import CLIMATES
from usvi_bench.synthetic.draws import Draws
from usvi_bench.synthetic.view import View

_LUMA = (0.299, 0.587, 0.114)
_REFERENCE_HEIGHT = 128
_STEPS = 4096


def motion_blur(person: Tensor, camera: Camera, views: Sequence[View]) -> Tensor:
    """Blur people who walk across the view; ``person`` is ``[B, C + 1, H, W]``, levels and coverage."""
    sharp = person.shape[2] / _REFERENCE_HEIGHT
    return _blur(person, [0.05 + camera.shutter * sharp * abs(sine(view.azimuth)) for view in views], axes=(3,))


def develop(light: Tensor, camera: Camera, views: Sequence[View]) -> Tensor:
    """Convert levels ``[B, C, H, W]`` to the camera's pixels ``[B, H, W, 3]`` uint8."""
    sharp, device = light.shape[2] / _REFERENCE_HEIGHT, light.device

    def column(values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device)[:, None, None, None]

    image = _blur(light, [view.blur * _lens_blur(camera, view) * sharp for view in views])
    image = image * _illumination(image, camera, views)
    if camera.band == "visible":
        factors = np.array([view.tint for view in views]) * np.array(camera.balance)
        image = image * torch.from_numpy(factors).float().to(device)[:, :, None, None]
        image = image * column([power(view.exposure, camera.swing) for view in views])
        grey = sum(weight * image[:, channel] for channel, weight in enumerate(_LUMA))
        grey = torch.as_tensor(grey).unsqueeze(1)
        image = grey + camera.saturation * (image - grey)
    elif camera.band == "near":
        image = image * column([power(view.exposure, camera.swing) for view in views])
    curve = torch.from_numpy(_tone_curve(camera)).to(device)
    steps = (image * _STEPS).clamp_(0, len(curve) - 1).round_().long()
    image = curve.index_select(0, steps.flatten()).view(image.shape)
    grain = np.stack([Draws(view.seed, "grain").noise(*image.shape[1:]) for view in views])
    image = image + camera.noise * torch.from_numpy(grain).to(device)
    pixels = image.mul_(255).round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    return pixels.expand(-1, -1, -1, 3).contiguous()


def _lens_blur(camera: Camera, view: View) -> float:
    """Return the blur of the lens; of a thermal camera it depends on the climate, as measured."""
    return camera.blur * (CLIMATES[view.climate].blur if camera.band == "thermal" else 1.0)


def _illumination(image: Tensor, camera: Camera, views: Sequence[View]) -> Tensor:
    """Compute the share ``[B, 1, H, W]`` of light that reaches each pixel."""
    height, width = image.shape[2:]
    y = (torch.arange(height, device=image.device) + 0.5) / height
    x = (torch.arange(width, device=image.device) + 0.5) / width - 0.5
    reach = 1 - camera.falloff * ((y - 0.3) / 0.7).clamp(0, 1)
    side = torch.tensor([camera.vignette * (2 * view.place_x - 1) for view in views], device=image.device)
    return (reach[None, :, None] * (1 - side[:, None, None].float() * x)).unsqueeze(1)


@lru_cache(maxsize=64)
def _tone_curve(camera: Camera) -> NDArray[np.float32]:
    """Return the output of the sensor for levels from 0 to 4, in steps of 1 / ``_STEPS``."""
    levels = np.arange(4 * _STEPS + 1) / _STEPS
    return np.asarray(power(levels, camera.gamma) * camera.gain + camera.offset, np.float32)


def _blur(image: Tensor, sigma: Sequence[float], axes: tuple[int, ...] = (2, 3)) -> Tensor:
    """Apply a separable Gaussian blur with one width per image; images do not depend on others in the batch."""
    kernels = [_half_kernel(width) for width in sigma]
    reach = max(len(kernel) for kernel in kernels)
    padded = [kernel + [0.0] * (reach - len(kernel)) for kernel in kernels]
    taps = torch.tensor(padded, dtype=torch.float32, device=image.device)[:, :, None, None, None]
    for axis in axes:
        length, rim = image.shape[axis], reach - 1
        sides = (rim, rim, 0, 0) if axis == 3 else (0, 0, rim, rim)
        wide = torch.nn.functional.pad(image, sides, mode="replicate")
        blurred = image * taps[:, 0]
        for shift in range(1, reach):
            both = wide.narrow(axis, rim - shift, length) + wide.narrow(axis, rim + shift, length)
            blurred += both.mul_(taps[:, shift])
        image = blurred
    return image


def _half_kernel(sigma: float) -> list[float]:
    """Return one half of a normalised Gaussian kernel, starting at its centre."""
    half = [exponential(-0.5 * (shift / sigma) * (shift / sigma)) for shift in range(math.ceil(2.5 * sigma) + 1)]
    return [tap / (2 * math.fsum(half) - half[0]) for tap in half]
