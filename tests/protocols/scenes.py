"""Data sets in memory."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import scipy.io

from usvi_bench import protocols
from usvi_bench.datasets.base import Dataset, ImageTable, Split

VISIBLE, INFRARED = (1, 2, 4, 5), (3, 6)


def table(modality, rows: Iterable[tuple[int, int, int]], root=Path("nowhere")) -> ImageTable:
    """Make a table from rows (camera, identity, frame)."""
    ordered = sorted(
        (f"cam{camera}/{identity:04d}/{frame:04d}.jpg", identity, camera) for camera, identity, frame in rows
    )
    return ImageTable(
        modality,
        root,
        tuple(path for path, _, _ in ordered),
        np.array([identity for _, identity, _ in ordered], dtype=np.int64),
        np.array([camera for _, _, camera in ordered], dtype=np.int64),
    )


def published_counts() -> dict[tuple[int, int], int]:
    """Read the number of SYSU-MM01's test images by (identity, camera)."""
    path = Path(protocols.__file__).parent / "data" / "sysu_test_counts.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return {(int(row["identity"]), camera): int(row[f"cam{camera}"]) for row in rows for camera in range(1, 7)}


class Scene(Dataset):
    """Scene with the given numbers of test images and no training images."""

    fingerprint = "none"
    synthetic = None

    def __init__(self, counts: dict[tuple[int, int], int], name="sysu", folds=(1,), root=Path("nowhere")) -> None:
        self.name, self.folds, self.root = name, folds, root
        rows = [(camera, identity, frame) for (identity, camera), n in counts.items() for frame in range(1, n + 1)]
        self.split = Split(
            table("visible", [row for row in rows if row[0] in VISIBLE]),
            table("infrared", [row for row in rows if row[0] in INFRARED]),
        )

    def train(self, fold: int = 1) -> Split:
        raise AssertionError("a protocol reads no training image")

    def test(self, fold: int = 1) -> Split:
        assert fold in self.folds
        return self.split


class LLCMScene(Scene):
    """Scene in LLCM's layout.

    Args:
        counts: number of images by (identity, camera, modality), modality 0 visible and 1 infrared.
    """

    def __init__(self, counts: dict[tuple[int, int, int], int]) -> None:
        self.name, self.folds, self.root = "llcm", (1,), Path("nowhere")
        seen, dark = (
            [(c, i, k) for (i, c, own), n in counts.items() if own == side for k in range(1, n + 1)] for side in (0, 1)
        )
        self.split = Split(table("visible", seen), table("infrared", dark))


def llcm_parity_scene() -> LLCMScene:
    """Make the test images whose galleries the public code of LLCM has drawn for the tests."""
    return LLCMScene(
        {
            (i, c, m): 2 + (7 * i + 3 * c + 5 * m) % 11
            for i in range(1, 119, 3)
            for m, cameras in enumerate((range(1, 10), (1, 2, 4, 5, 6, 7, 8, 9)))
            for c in cameras
            if (i + c + m) % 4
        }
    )


def small_llcm_scene() -> LLCMScene:
    """Make a scene of six people; camera 1 alone sees person 4 in both modalities."""
    cameras = ((1, 2, 3, 5), (1, 2, 5, 9))
    counts = {(i, c, m): 2 + (i + c + m) % 3 for i in range(1, 7) for m in (0, 1) for c in cameras[m]}
    return LLCMScene({(i, c, m): n for (i, c, m), n in counts.items() if i != 4 or c == 1})


def small_scene(**options) -> Scene:
    """Make a scene of six people; indoor cameras miss person 4, camera 3 misses person 5."""
    counts = {(i, c): 2 + (i + c) % 3 for i in range(1, 7) for c in range(1, 7)}
    for absent in ((4, 1), (4, 2), (5, 3)):
        del counts[absent]
    return Scene(counts, **options)


class Embedder:
    """Embedder of random unit features around one direction per person; counts its calls."""

    def __init__(self, lean: float = 1.0) -> None:
        self.lean, self.calls = lean, []

    def __call__(self, images: ImageTable):
        self.calls.append(images)
        generator = np.random.default_rng(len(images))
        people = np.random.default_rng(0).normal(size=(1000, 16))
        features = generator.normal(size=(len(images), 16)) + self.lean * people[images.identities]
        return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def write_permutations(path, table, trials=10):
    """Write permutations like the official file: cameras x 1 cells of people x 1 cells of trials x images."""
    generator = np.random.default_rng(5)
    cameras = np.empty((6, 1), dtype=object)
    orders = {}
    for camera in range(1, 7):
        people = np.empty((int(table.identities.max()), 1), dtype=object)
        for identity in range(1, len(people) + 1):
            number = int(((table.identities == identity) & (table.cameras == camera)).sum())
            orders[identity, camera] = np.array([generator.permutation(number) + 1 for _ in range(trials)])
            people[identity - 1, 0] = orders[identity, camera].astype(np.uint8)
        cameras[camera - 1, 0] = people
    scipy.io.savemat(path, {"rand_perm_cam": cameras})
    return orders
