"""From light to the pixels of a file: exposure, colour, tone, blur, noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from datasets.synthetic.cameras import Camera
from datasets.synthetic.view import View

_LUMA = torch.tensor([0.299, 0.587, 0.114])
_REFERENCE_HEIGHT = 128


def develop(light: Tensor, camera: Camera, views: Sequence[View]) -> Tensor:
    """``[B, 3, H, W]`` levels to ``[B, H, W, 3]`` uint8, as the camera writes them."""
    sharp = light.shape[2] / _REFERENCE_HEIGHT
    image = _blur(light, torch.tensor([view.blur * camera.blur * sharp for view in views], dtype=torch.float32))
    if camera.band == "visible":
        exposure = torch.tensor([view.exposure for view in views])[:, None] * torch.tensor(
            [view.tint for view in views]
        )
        image = image * (exposure * torch.tensor(camera.balance))[:, :, None, None].float()
        grey = (image * _LUMA[:, None, None]).sum(1, keepdim=True)
        image = grey + camera.saturation * (image - grey)
    elif camera.band == "near":
        image = image * torch.tensor([view.exposure**0.6 for view in views], dtype=torch.float32)[:, None, None, None]
    image = (image.clamp_min(0) ** camera.gamma) * camera.gain + camera.offset
    grain = np.stack([_grain(view, image.shape[2:], camera.band == "visible") for view in views])
    image = image + camera.noise * torch.from_numpy(grain)
    return (image * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _grain(view: View, shape: Sequence[int], coloured: bool) -> np.typing.NDArray[np.float32]:
    noise = np.random.default_rng(view.seed).standard_normal((3 if coloured else 1, *shape), dtype=np.float32)
    return np.broadcast_to(noise, (3, *shape))


def _blur(image: Tensor, sigma: Tensor) -> Tensor:
    """Separable Gaussian blur with a width of its own for every image."""
    reach = max(1, int(np.ceil(2.5 * float(sigma.max()))))
    taps = torch.exp(-0.5 * (torch.arange(reach + 1) / sigma[:, None]) ** 2)
    taps = taps / (2 * taps.sum(1, keepdim=True) - taps[:, :1])
    for axis in (2, 3):
        length = image.shape[axis]
        index = torch.arange(length)
        blurred = image * taps[:, 0, None, None, None]
        for shift in range(1, reach + 1):
            before = image.index_select(axis, (index - shift).clamp(min=0))
            after = image.index_select(axis, (index + shift).clamp(max=length - 1))
            blurred = blurred + taps[:, shift, None, None, None] * (before + after)
        image = blurred
    return image
