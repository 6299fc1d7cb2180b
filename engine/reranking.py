"""Re-ranked scores: a kind of score beside the headline, never ranked, because it uses all queries at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.errors import UsageError
from usvi_bench.core.metrics import RERANKED
from usvi_bench.core.result import Score
from usvi_bench.datasets.base import Dataset, ImageTable
from usvi_bench.protocols.base import Protocol
from usvi_bench.protocols.metrics import score_blocks
from usvi_bench.protocols.score_metrics import score_metrics


def check_reranking(protocol: type[Protocol], rerank: bool) -> None:
    """Refuse ``engine.rerank`` with a protocol of corrupted images, whose evaluations have images of their own.

    Raises:
        UsageError: names the protocol and the setting.
    """
    if rerank and protocol.corrupted:
        raise UsageError(f"{protocol.name} corrupts images and has no re-ranked scores: leave out engine.rerank=true")


def reranked_scores(
    embed: Callable[[ImageTable], NDArray[np.float32]],
    protocol: Protocol,
    dataset: Dataset,
    fold: int,
    kind: dict[str, Any],
) -> list[Score]:
    """Score a model on one fold after re-ranking; queries and gallery of each trial are re-ranked anew.

    Args:
        embed: function that returns the unit features of a table.
        protocol: protocol to score by.
        dataset: data set of the test images.
        fold: fold to score.
        kind: kind of the plain scores, as in a record.
    """
    from usvi_bench.components.clustering.reranking import reranked_distance  # compiled kernels load slowly

    query, pool = protocol.tables(dataset, fold)
    query = query.take(protocol.queries(dataset, fold))
    queries, candidates = (np.asarray(embed(table), dtype=np.float32) for table in (query, pool))
    kind = {**kind, "feature": f"{kind['feature']}{RERANKED}"}
    scores = []
    for trial, rows in enumerate(protocol.galleries(dataset, fold)):
        gallery = pool.take(rows)
        blocks = ((part, -distance) for part, distance in reranked_distance(queries, candidates[rows]))
        masks = lambda part, gallery=gallery: protocol.masks(query.take(part), gallery)  # noqa: E731
        scores.append(
            Score(**kind, fold=fold, trial=trial, metrics=score_metrics(score_blocks(blocks, len(rows), masks)))
        )
    return scores
