"""Queries and galleries of synthetic people, derived from their specification without any image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.registry import PROTOCOLS
from usvi_bench.core.result import Result
from usvi_bench.leaderboard.derived import PlannedFold, planned_people
from usvi_bench.protocols.base import Protocol, ProtocolConfig
from usvi_bench.protocols.draw_digest import fold_digest


@dataclass(frozen=True, eq=False, slots=True)
class Drawn:
    """Drawn queries and galleries of a fold.

    Attributes:
        digest: digest of the queries and galleries.
        people: ``[Q]`` number of the person of each query, in the order of their identities.
        valid: ``[T, Q]`` whether a query has a match in the gallery of a trial.
    """

    digest: str
    people: NDArray[np.int64]
    valid: NDArray[np.bool_]


def drawn(result: Result, config: ProtocolConfig, fold: int) -> Drawn | None:
    """Return what the protocol of a record draws in a fold; None for other images than planned people.

    Raises:
        UsageError: the specification of the people has a value that is unknown or out of range.
    """
    people = planned_people(result)
    if people is None or config.gallery != "seeded" or fold not in people.folds:
        return None
    return _drawn(result.protocol, config, PlannedFold(people, fold))


@cache
def _drawn(name: str, config: ProtocolConfig, tested: PlannedFold) -> Drawn:
    protocol: Protocol = PROTOCOLS.get(name)(config)
    people, fold = tested.people, tested.fold
    query, pool = protocol.tables(people, fold)
    query = query.take(protocol.queries(people, fold))
    valid = []
    for rows in protocol.galleries(people, fold):
        positives, ignored = protocol.masks(query, pool.take(rows)).arrays((len(query), len(rows)))
        valid.append((positives & ~ignored).any(axis=1))
    numbers = np.unique(query.identities, return_inverse=True)[1]
    return Drawn(fold_digest(protocol, people, fold), numbers, np.stack(valid))
