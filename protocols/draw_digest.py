"""Digest of what a protocol draws: two runs with equal digests answer the same queries in the same galleries."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from usvi_bench.core.settings import digest
from usvi_bench.datasets.base import Dataset, ImageTable
from usvi_bench.protocols.base import Protocol
from usvi_bench.protocols.metrics import query_blocks


def draw_digest(
    fingerprint: str, protocol: str, kind: Mapping[str, object], trials: int, folds: Mapping[int, str]
) -> str:
    """Combine the digests of folds with what else the results of a query depend on, apart from the model.

    The fingerprint is needed because other images may have the same paths, as those of another generator seed do.

    Args:
        fingerprint: fingerprint of the scored data set.
        protocol: registered name.
        kind: shots and gallery, as in the headline of a record; other keys are left out.
        trials: number of trials of each fold.
        folds: :func:`fold_digest` of each scored fold.
    """
    return digest(
        {
            "fingerprint": fingerprint,
            "protocol": protocol,
            "shots": kind["shots"],
            "gallery": kind["gallery"],
            "trials": trials,
            "folds": {str(fold): folds[fold] for fold in sorted(folds)},
        }
    )


def fold_digest(protocol: Protocol, dataset: Dataset, fold: int) -> str:
    """Hash the queries of a fold in their order, the gallery of each trial, and which images match or are ignored."""
    query, pool = protocol.tables(dataset, fold)
    query = query.take(protocol.queries(dataset, fold))
    found = hashlib.sha256(_table(query))
    for rows in protocol.galleries(dataset, fold):
        gallery = pool.take(rows)
        for kind in (0, 1):  # positives, ignored
            for part in query_blocks(len(query), len(gallery), multiple=8):  # whole bytes
                asked = query.take(part)
                masks = protocol.masks(asked, gallery)
                found.update(np.packbits(masks.arrays((len(asked), len(gallery)))[kind]).tobytes())
        found.update(masks.units(len(gallery)).astype("<i8").tobytes())
        found.update(_table(gallery))
    return found.hexdigest()


def _table(table: ImageTable) -> bytes:
    content: list[Any] = [table.modality, list(table.names), table.identities.tolist(), table.cameras.tolist()]
    return digest(content).encode()
