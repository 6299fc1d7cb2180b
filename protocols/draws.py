"""Galleries of SYSU-style trials: seeded draws, or the official permutations.

A gallery has one image (or ten) of every person from every camera. Seeded and official galleries have equal sizes but
different images, so scores differ slightly. A record names the kind of draw.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.errors import UsageError
from usvi_bench.datasets.base import ImageTable

Permutations = NDArray[np.object_]
"""One entry per camera with one entry per person: ``[10, n]``, a permutation of ``1 ... n`` for every trial."""

SOURCE = "github.com/wuancong/SYSU-MM01, evaluation/data_split/rand_perm_cam.mat"


def seeded_gallery(table: ImageTable, cameras: Sequence[int], trial: int, shots: int = 1) -> NDArray[np.int64]:
    """Draw rows of a table with Python's generator, seeded by the number of the trial.

    With one shot, these are the galleries of the AGW family (mangye16/Cross-Modal-Re-ID-baseline @e817a26), whose
    scoring released codes of unsupervised methods reuse: one ``choice`` from the sorted files of every person and
    camera, people in the order of their four-digit numbers, then cameras. That code has no multi-shot gallery. Here a
    multi-shot gallery has ``min(n, shots)`` of the ``n`` images of each person and camera, drawn without replacement in
    the same order.

    Args:
        table: test images in path order.
        cameras: cameras of the gallery, in the order of the draws.
        trial: number of the trial, from 0.
        shots: number of images of each person and camera.
    """
    generator = random.Random(trial)
    rows: list[int] = []
    for group in _groups(table, cameras).values():
        rows += [generator.choice(group)] if shots == 1 else generator.sample(group, min(len(group), shots))
    return np.array(rows, dtype=np.int64)


def official_gallery(
    table: ImageTable, cameras: Sequence[int], permutations: Permutations, trial: int, shots: int = 1
) -> NDArray[np.int64]:
    """Return the gallery of an official trial: the first ``shots`` images of each person and camera in its permutation.

    Raises:
        UsageError: the file does not fit these images.
    """
    rows: list[int] = []
    for (identity, camera), group in _groups(table, cameras).items():
        try:
            order = np.asarray(permutations[camera - 1].ravel()[identity - 1])[trial].astype(np.int64)
        except (AttributeError, IndexError, ValueError) as error:
            raise UsageError(
                f"rand_perm_cam.mat has no trial {trial} for id {identity}, cam{camera}; restore the file, or use "
                "--set protocol.gallery=seeded"
            ) from error
        if sorted(order.tolist()) != list(range(1, len(group) + 1)):
            raise UsageError(
                f"rand_perm_cam.mat orders {len(order)} images of id {identity}, cam{camera}, where the data set has "
                f"{len(group)}; restore the images, or use --set protocol.gallery=seeded"
            )
        rows += [group[index - 1] for index in order[:shots]]
    return np.array(rows, dtype=np.int64)


def read_permutations(path: Path) -> Permutations:
    """Read the official permutations of SYSU-MM01.

    Raises:
        UsageError: the file is missing or is another file; the message names its source.
    """
    import scipy.io

    remedy = f"put the file from {SOURCE} there, or use --set protocol.gallery=seeded"
    if not path.is_file():
        raise UsageError(f"no file {path}: {remedy}")
    try:
        permutations: Permutations = scipy.io.loadmat(str(path))["rand_perm_cam"].ravel()
    except Exception as error:  # the reader of MATLAB files raises many types of error for other files
        raise UsageError(f"{path} is not the permutation file of SYSU-MM01: {remedy}") from error
    return permutations


def _groups(table: ImageTable, cameras: Sequence[int]) -> dict[tuple[int, int], list[int]]:
    """Group rows by (person, camera): people in the order of their four-digit text, then cameras as given."""
    groups: dict[tuple[int, int], list[int]] = {}
    people = sorted(set(table.identities.tolist()), key=lambda identity: f"{identity:04d}")
    for identity in people:
        for camera in cameras:
            rows = np.flatnonzero((table.identities == identity) & (table.cameras == camera)).tolist()
            if rows:
                groups[identity, camera] = rows
    return groups
