"""Scores of matchers that were not trained on a data set, across modalities and within one.

``python -m analysis.training_free [--layout sysu] [--data synthetic] [--weights FILE]`` prints the mAP of chance, mean
colour, grey bands, HOG and an encoder with its starting weights. One column compares infrared queries with visible
images, as in the data set's protocol. The other column compares visible queries with visible images of other cameras
(in RegDB's layout, which has one visible camera: with the second half of each person's images), which shows that the
matchers recognise people at all.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from usvi_bench.components.encoder.resnet_networks import SmallConfig
from usvi_bench.components.encoder.two_stream import build_encoder
from usvi_bench.components.encoder.weights import load_weights
from usvi_bench.core.errors import UsageError
from usvi_bench.core.seeding import numpy_generator
from usvi_bench.core.table import markdown_table
from usvi_bench.core.types import Modality
from usvi_bench.datasets.base import Dataset, ImageTable
from usvi_bench.datasets.cache import decoded
from usvi_bench.datasets.open import open_dataset
from usvi_bench.engine.images import retrieval_features
from usvi_bench.engine.start_weights import shipped_weights
from usvi_bench.protocols.base import Protocol

TRIALS = 10
HEIGHT, WIDTH = 128, 64
HEADER = ["matcher", "infrared to visible", "visible to visible"]

Features = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Matcher = Callable[[Pixels, Modality], Features]
"""Function from images ``[N, 128, 64, 3]`` to features ``[N, D]``, which are compared by Euclidean distance."""


def per_image(describe: Callable[[Features], Features]) -> Matcher:
    """Make a matcher that describes each image independently."""
    return lambda pixels, _: np.stack([describe(image.astype(np.float32)) for image in pixels])


def mean_colour(image: Features) -> Features:
    """Compute mean red, green and blue."""
    return np.asarray(image.mean((0, 1)), np.float32)


def bands(image: Features) -> Features:
    """Compute the grey levels of eight horizontal bands, standardised within the image."""
    levels = np.array([band.mean() for band in np.array_split(image, 8)])
    return np.asarray((levels - levels.mean()) / (levels.std() + 1e-6), np.float32)


def hog(image: Features) -> Features:
    """Compute histograms of oriented gradients: 9 orientations, cells of 8 x 8 pixels, blocks of 2 x 2 cells.

    Source: Dalal and Triggs, CVPR 2005.
    """
    down, right = np.gradient(image.mean(2))
    angle = np.arctan2(down, right) % np.pi / np.pi * 9
    strength = np.hypot(down, right)
    cells = np.zeros((9, 16, 8), np.float32)
    for orientation in range(9):
        share = strength * np.clip(1 - np.minimum((angle - orientation) % 9, (orientation - angle) % 9), 0, None)
        cells[orientation] = share.reshape(16, 8, 8, 8).sum((1, 3))
    blocks = np.concatenate([cells[:, i : i + 15, j : j + 7] for i in (0, 1) for j in (0, 1)])
    return np.asarray(blocks / np.sqrt((blocks**2).sum(0, keepdims=True) + 1.0), np.float32).ravel()


def encoder_matcher(weights: Path) -> Matcher:
    """Make a matcher from the small encoder with weights from a file."""
    encoder = build_encoder(SmallConfig(), 0)
    load_weights(encoder, weights)
    device = torch.device("cpu")
    return lambda pixels, modality: retrieval_features(encoder, pixels, modality, 256, device, mirror=True, order=None)


@dataclass(frozen=True)
class Comparison:
    """Comparison of query and gallery images.

    Attributes:
        query: rows of the query table, ``[Q]``.
        galleries: rows of the gallery table, an array per draw.
        excluded: ``[Q, N]`` True for pairs of query and gallery image that do not count.
    """

    query: NDArray[np.int64]
    galleries: list[NDArray[np.int64]]
    excluded: NDArray[np.bool_]


def across_modalities(layout: str, query: ImageTable, gallery: ImageTable) -> Comparison:
    """Compare infrared queries with visible galleries.

    A gallery has one drawn image of each person and camera; queries of camera 3 exclude camera 2. In RegDB's layout the
    gallery has all images.
    """
    rows = np.arange(len(query))
    if layout == "regdb":
        return Comparison(rows, [np.arange(len(gallery))], np.zeros((len(query), len(gallery)), bool))
    return Comparison(rows, _draws(gallery), (query.cameras == 3)[:, None] & (gallery.cameras == 2)[None])


def within_modality(layout: str, seen: ImageTable) -> Comparison:
    """Compare images of one modality with those of other cameras.

    In RegDB's layout, with one camera per modality, the first half of each person's walk is compared with the second
    half. This is easy, because both halves share the place and the light.
    """
    if layout == "regdb":
        late = np.array([_place(seen, row) for row in range(len(seen))]) >= 0.5
        return Comparison(
            np.flatnonzero(~late), [np.flatnonzero(late)], np.zeros((int((~late).sum()), len(seen)), bool)
        )
    return Comparison(np.arange(len(seen)), _draws(seen), seen.cameras[:, None] == seen.cameras[None])


def _place(seen: ImageTable, row: int) -> float:
    own = np.flatnonzero(seen.identities == seen.identities[row])
    return float(np.searchsorted(own, row)) / len(own)


def _draws(gallery: ImageTable) -> list[NDArray[np.int64]]:
    rng = numpy_generator(0, "training free")
    keys = gallery.identities * 100 + gallery.cameras
    groups = [np.flatnonzero(keys == key) for key in np.unique(keys)]
    return [np.array([rng.choice(group) for group in groups], np.int64) for _ in range(TRIALS)]


def mean_average_precision(
    distance: NDArray[np.float32], right: NDArray[np.bool_], excluded: NDArray[np.bool_]
) -> float:
    """Compute the mean average precision over queries with a right gallery image; all arguments are ``[Q, G]``.

    >>> distance, right = np.array([[0.1, 0.2, 0.3]], np.float32), np.array([[True, False, True]])
    >>> round(mean_average_precision(distance, right, excluded=np.array([[False, False, False]])), 4)
    0.8333
    """
    precisions = []
    for row, matches, gone in zip(distance, right, excluded, strict=True):
        kept = np.flatnonzero(~gone)
        hits = np.flatnonzero(matches[kept[np.argsort(row[kept], kind="stable")]])
        if len(hits):
            precisions.append(np.mean(np.arange(1, len(hits) + 1) / (hits + 1)))
    return float(np.mean(precisions))


def score(
    compared: Comparison, first: ImageTable, second: ImageTable, queries: Features | None, gallery: Features | None
) -> float:
    """Compute the mAP in percent over all draws; distances are random if features are None."""
    rng, found = numpy_generator(0, "chance"), []
    for rows in compared.galleries:
        right = first.identities[compared.query][:, None] == second.identities[rows][None]
        if queries is None or gallery is None:
            distance = rng.random(right.shape, np.float32)
        else:
            a, b = queries[compared.query], gallery[rows]
            distance = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
        found.append(mean_average_precision(distance, right, compared.excluded[:, rows]))
    return 100 * float(np.mean(found))


def measure(layout: str, dataset: Dataset, weights: Path | None) -> dict[str, tuple[float, float]]:
    """Compute the mAP in percent across modalities and within the visible one, by matcher, on the first fold."""
    split = dataset.test(dataset.folds[0])
    visible, infrared = split.visible, split.infrared
    pixels = {t.modality: decoded(t, HEIGHT, WIDTH, Protocol.resize, dataset.fingerprint) for t in (visible, infrared)}
    matchers: dict[str, Matcher | None] = {"chance": None, "mean colour": per_image(mean_colour)}
    matchers |= {"grey bands": per_image(bands), "HOG": per_image(hog)}
    if weights is not None:
        matchers[weights.stem] = encoder_matcher(weights)
    between, inside = across_modalities(layout, infrared, visible), within_modality(layout, visible)
    scores = {}
    for name, matcher in matchers.items():
        seen = matcher(pixels["visible"], "visible") if matcher else None
        dark = matcher(pixels["infrared"], "infrared") if matcher else None
        scores[name] = (
            score(between, infrared, visible, dark, seen),
            score(inside, visible, visible, seen, seen),
        )
    return scores


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table of scores."""
    parser = argparse.ArgumentParser(prog="python -m analysis.training_free", description=__doc__)
    parser.add_argument("--layout", choices=("sysu", "regdb"), default="sysu")
    parser.add_argument("--data", default="synthetic", help="data as for run.py")
    weights = shipped_weights(SmallConfig())
    parser.add_argument("--weights", type=Path, default=weights, help="weights of the small encoder")
    options = parser.parse_args(arguments)
    try:
        dataset, sentence = open_dataset(options.layout, options.data, progress=print)
        scores = measure(options.layout, dataset, options.weights)
    except UsageError as error:
        raise SystemExit(str(error)) from error
    print(markdown_table(HEADER, [[name, *(f"{value:.1f}" for value in pair)] for name, pair in scores.items()]))
    print(f"\nmAP in percent; {sentence}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
