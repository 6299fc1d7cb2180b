"""Statistics of a crop of a person: levels in fixed boxes, texture, sharpness of the outline."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

REFERENCE = Path(__file__).with_name("infrared_reference.json")
"""File with the boxes, and with statistics of real crops and their sources."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
REACH = 6
"""Pixels on either side of the outline that an edge profile covers."""
MIN_CONTRAST = 20.0
"""Minimum difference of levels between inside and outside for which the width of an outline is measured."""

Grey = NDArray[np.float32]


@cache
def reference() -> dict[str, Any]:
    """Read ``REFERENCE``."""
    return dict(json.loads(REFERENCE.read_text()))


@cache
def regions(height: int, width: int) -> dict[str, NDArray[np.bool_]]:
    """Make the masks ``[height, width]`` of head, torso, legs and background."""
    rows, columns = np.mgrid[:height, :width]
    y, x = (rows + 0.5) / height, np.abs((columns + 0.5) / width - 0.5)

    def inside(box: dict[str, list[float]]) -> NDArray[np.bool_]:
        return np.asarray((box["y"][0] < y) & (y < box["y"][1]) & (box["x"][0] < x) & (x < box["x"][1]))

    boxes = {name: of for name, of in reference()["boxes"].items() if name != "about"}
    return {name: np.logical_or.reduce([inside(box) for box in of]) for name, of in boxes.items()}


def grey_of(pixels: NDArray[np.uint8]) -> Grey:
    """Convert pixels ``[H, W, 3]`` to luma ``[H, W]``."""
    return np.asarray(pixels.astype(np.float32) @ LUMA, np.float32)


def gradient(grey: Grey) -> Grey:
    """Compute the gradient ``[H, W]`` in levels per pixel after a slight blur (Sobel)."""
    soft = ndimage.gaussian_filter(grey, reference()["edge"]["sigma"], mode="mirror")
    down, right = (ndimage.sobel(soft, axis, mode="mirror") / 8 for axis in (0, 1))
    return np.asarray(np.hypot(down, right), np.float32)


def measure(grey: Grey) -> dict[str, float]:
    """Compute the statistics of one crop ``[H, W]``.

    Raises:
        ValueError: the height differs from that of the reference.
    """
    if grey.shape[0] != reference()["height"]:
        raise ValueError(f"the crop is {grey.shape[0]} pixels high; resize it to {reference()['height']}")
    masks, steep = regions(*grey.shape), gradient(grey) > reference()["edge"]["gradient"]
    figures = {name: float(grey[mask].mean()) for name, mask in masks.items()}
    fine = grey - ndimage.gaussian_filter(grey, 2.0, mode="mirror")
    return {
        **figures,
        "torso - background": figures["torso"] - figures["background"],
        "head - torso": figures["head"] - figures["torso"],
        "torso std": float(grey[masks["torso"]].std()),
        "torso high-pass": float(fine[masks["torso"]].std()),
        "edges in clothing": float(steep[masks["torso"] | masks["legs"]].mean()),
        "crop mean": float(grey.mean()),
        "crop std": float(grey.std()),
        "saturated": float((grey >= 250).mean()),
    }


def outline(grey: Grey, coverage: Grey) -> dict[str, float]:
    """Measure the edge share and the width of the outline.

    ``outline edge share`` is the fraction of outline pixels with a steep gradient. ``outline width`` is the median
    distance in pixels over which the level rises from 10 to 90 % of the way from outside to inside, over outline points
    with contrast; nan without such points. A Gaussian blur of sigma gives 2.56 sigma.

    Args:
        grey: ``[H, W]`` levels.
        coverage: ``[H, W]`` share of each pixel that the person fills.
    """
    border = (coverage > 0.5) & (ndimage.grey_erosion(coverage, (3, 3)) <= 0.5)
    border[[0, -1], :] = border[:, [0, -1]] = False
    rows, columns = np.nonzero(border)
    soft = ndimage.gaussian_filter(coverage, 1.5, mode="nearest")
    normal = np.stack([ndimage.sobel(soft, axis)[rows, columns] for axis in (0, 1)])
    normal /= np.maximum(np.hypot(*normal), 1e-6)
    steps = np.arange(-REACH, REACH + 0.125, 0.25)
    places = np.stack([rows, columns])[:, :, None] + normal[:, :, None] * steps
    profile = ndimage.map_coordinates(grey, places, order=1, mode="nearest")
    outer, inner = profile[:, :12].mean(1, keepdims=True), profile[:, -12:].mean(1, keepdims=True)
    clear = np.abs(inner - outer)[:, 0] > MIN_CONTRAST
    rise = ((profile - outer) / np.where(inner == outer, 1.0, inner - outer))[clear]
    widths = (np.argmax(rise > 0.9, axis=1) - np.argmax(rise > 0.1, axis=1)) * 0.25
    widths = widths[widths > 0]
    return {
        "outline edge share": float((gradient(grey)[border] > reference()["edge"]["gradient"]).mean()),
        "outline width": float(np.median(widths)) if len(widths) else float("nan"),
    }


def correlation_inside(visible: Grey, infrared: Grey, coverage: Grey) -> float:
    """Correlate visible and infrared levels over one person's clothing: torso and legs boxes within the outline.

    Returns nan for fewer than 20 pixels.
    """
    masks = regions(*visible.shape)
    cloth = (masks["torso"] | masks["legs"]) & (ndimage.grey_erosion(coverage, (7, 7)) > 0.99)
    if cloth.sum() < 20:
        return float("nan")
    return float(np.corrcoef(visible[cloth], infrared[cloth])[0, 1])
