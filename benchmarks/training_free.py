"""How far matchers without training get across modalities; on a sound benchmark, hardly above chance.

``python -m benchmarks.training_free TREE`` prints the infrared-to-visible mAP of chance, mean colour, grey bands and
HOG on a SYSU-MM01-layout tree: every test infrared image against one visible image of every (identity, camera),
without the camera-2 images where the query comes from camera 3, which hangs in the same room.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.seeding import numpy_generator

VISIBLE, INFRARED = (1, 2, 4, 5), (3, 6)
TRIALS = 10

Features = NDArray[np.float32]
Entry = tuple[int, int, Path]


def collect(tree: Path, cameras: tuple[int, ...]) -> list[Entry]:
    """(identity, camera, file) of every test image of those cameras."""
    people = [int(text) for text in (tree / "exp" / "test_id.txt").read_text().split(",")]
    return [
        (person, camera, file)
        for person in people
        for camera in cameras
        for file in sorted((tree / f"cam{camera}" / f"{person:04d}").glob("*.jpg"))
    ]


def mean_colour(image: Features) -> Features:
    """Mean red, green and blue."""
    return np.asarray(image.mean((0, 1)), np.float32)


def bands(image: Features) -> Features:
    """Grey level of eight horizontal bands, standardised within the image."""
    levels = np.array([band.mean() for band in np.array_split(image, 8)])
    return np.asarray((levels - levels.mean()) / (levels.std() + 1e-6), np.float32)


def hog(image: Features) -> Features:
    """Histograms of oriented gradients: 9 of them, cells of 8 x 8 pixels, blocks of 2 x 2 cells (Dalal, Triggs)."""
    down, right = np.gradient(image.mean(2))
    angle = np.arctan2(down, right) % np.pi / np.pi * 9
    strength = np.hypot(down, right)
    cells = np.zeros((9, 16, 8), np.float32)
    for orientation in range(9):
        share = strength * np.clip(1 - np.minimum((angle - orientation) % 9, (orientation - angle) % 9), 0, None)
        cells[orientation] = share.reshape(16, 8, 8, 8).sum((1, 3))
    blocks = np.concatenate([cells[:, i : i + 15, j : j + 7] for i in (0, 1) for j in (0, 1)])
    return np.asarray(blocks / np.sqrt((blocks**2).sum(0, keepdims=True) + 1.0), np.float32).ravel()


MATCHERS: dict[str, Callable[[Features], Features]] = {"mean colour": mean_colour, "grey bands": bands, "HOG": hog}


def extract(entries: list[Entry]) -> dict[str, Features]:
    """Descriptors of every image, taken at 128 x 64, by the matcher's name."""
    images = [np.asarray(Image.open(file).convert("RGB").resize((64, 128)), np.float32) for *_, file in entries]
    return {name: np.stack([describe(image) for image in images]) for name, describe in MATCHERS.items()}


def mean_average_precision(
    distance: NDArray[np.float64], query: list[Entry], gallery: list[Entry], chosen: NDArray[np.int64]
) -> float:
    """Mean AP of the queries that have a right answer among the chosen gallery images."""
    people = np.array([gallery[i][0] for i in chosen])
    cameras = np.array([gallery[i][1] for i in chosen])
    precisions = []
    for row, (person, camera, _) in zip(distance, query, strict=True):
        order = np.argsort(row[chosen], kind="stable")
        order = order[~((camera == 3) & (cameras[order] == 2))]
        right = np.flatnonzero(people[order] == person)
        if len(right):
            precisions.append(np.mean(np.arange(1, len(right) + 1) / (right + 1)))
    return float(np.mean(precisions))


def measure(tree: Path) -> dict[str, float]:
    """MAP in percent of chance and of each matcher, over ten draws of the gallery."""
    query, gallery = collect(tree, INFRARED), collect(tree, VISIBLE)
    queries, galleries = extract(query), extract(gallery)
    rng = numpy_generator(0, "training free")
    distances = {"chance": rng.random((len(query), len(gallery)))}
    for name, features in queries.items():
        squares = (features**2).sum(1)[:, None] + (galleries[name] ** 2).sum(1)[None]
        distances[name] = np.asarray(squares - 2 * features @ galleries[name].T, np.float64)
    scores: dict[str, list[float]] = {name: [] for name in distances}
    for _ in range(TRIALS):
        groups: dict[tuple[int, int], list[int]] = {}
        for index, (person, camera, _) in enumerate(gallery):
            groups.setdefault((person, camera), []).append(index)
        chosen = np.array([rng.choice(group) for group in groups.values()], np.int64)
        for name, distance in distances.items():
            scores[name].append(mean_average_precision(distance, query, gallery, chosen))
    return {name: 100 * float(np.mean(values)) for name, values in scores.items()}


if __name__ == "__main__":
    for matcher, score in measure(Path(sys.argv[1])).items():
        print(f"{matcher:12s} mAP {score:5.2f} %")
