"""Hostile arguments of the metrics and of the association of clusters, through the Python interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.faults.corpus.case import Case, Expect, call, require

GOOD = np.array([[0.9, 0.8, 0.7], [0.1, 0.2, 0.3]])
BASE: dict[str, Any] = {"query_ids": [5, 6], "gallery_ids": [6, 5, 5], "query_cams": [3, 3], "gallery_cams": [1, 4, 5]}
RIGHT = np.array([[False, True, True], [True, False, False]])


def cases(seed: int) -> Iterator[Case]:
    """Yield calls that must raise ``ValueError``, and unusual ones that must be right."""
    rng = np.random.default_rng(seed)
    for name, arguments, expect in _retrieval(rng):
        yield Case("metrics", f"retrieval_metrics: {name}", partial(_try, "retrieval", arguments), expect)
    for name, arguments, expect in _ranks():
        yield Case("metrics", f"rank_metrics: {name}", partial(_try, "rank", arguments), expect)
    for name, gallery, expect in _galleries():
        yield Case("metrics", f"score_galleries: {name}", partial(_gallery, gallery), expect)
    for association in ("nn", "mutual", "hungarian", "sinkhorn"):
        for name, visible in _centroids():
            yield Case("metrics", f"match {association}: {name}", partial(_match, association, visible))


def _retrieval(rng: np.random.Generator) -> Iterator[tuple[str, dict[str, Any], Expect]]:
    at = tuple(int(rng.integers(size)) for size in GOOD.shape)
    spoilt = GOOD.copy()
    spoilt[at] = np.nan
    for name, value in {
        "NaN": spoilt,
        "text": np.array([["a", "b", "c"]] * 2),
        "objects": np.array([[None] * 3] * 2),
        "complex": GOOD.astype(complex),
        "1-d": GOOD[0],
        "empty": np.zeros((0, 3)),
        "no gallery": np.zeros((2, 0)),
        "ragged": [[1, 2, 3], [1]],
        "None": None,
        "a number": 3,
        "dates": np.zeros((2, 3), "datetime64[s]"),
        "masked": np.ma.masked_array(GOOD, RIGHT),
        "whole numbers beyond doubles": np.array([[2**53, 2**53 + 1, 2**53 + 2]] * 2),
        "unsigned numbers beyond doubles": np.array([[2**64 - 1, 2**64 - 2, 3]] * 2, np.uint64),
        "long tensor beyond doubles": torch.tensor([[2**53, 2**53 + 1, 2**53 + 2]] * 2),
        "sparse": torch.tensor(GOOD).to_sparse(),
        "meta": torch.zeros(2, 3, device="meta"),
        "long double": GOOD.astype(np.longdouble),
        "nested": torch.nested.nested_tensor([torch.tensor(row) for row in GOOD], layout=torch.jagged),
    }.items():
        yield f"similarity {name}", {"similarity": value, "positives": RIGHT}, "refused"
    for name, value in {"infinite": GOOD + np.inf, "whole": (GOOD * 10).astype(int), "list": GOOD.tolist()}.items():
        yield f"similarity {name}", {"similarity": value, "positives": RIGHT}, "accepted"
    for name, mask in {
        "numbers": RIGHT.astype(int),
        "of another shape": RIGHT.T,
        "None": None,
        "text": "yes",
        "all False": np.zeros_like(RIGHT),
        "objects": RIGHT.astype(object),
        "masked": np.ma.masked_array(RIGHT, ~RIGHT),
        "sparse": torch.tensor(RIGHT).to_sparse(),
        "meta": torch.zeros(2, 3, dtype=torch.bool, device="meta"),
    }.items():
        yield f"positives {name}", {"similarity": GOOD, "positives": mask}, "refused"
    yield "all ignored", {"similarity": GOOD, "positives": RIGHT, "ignored": np.ones_like(RIGHT)}, "refused"
    for name, units in {
        "[None]": [None],
        "None and numbers": [None, 1, 2],
        "NaN": [np.nan, 1, 2],
        "objects": [object()] * 3,
        "complex": [1j, 2, 3],
        "too short": [1],
        "2-d": [[1, 2, 3]],
        "a dictionary": {"a": 1},
        "masked": np.ma.masked_array([1, 2, 3], [1, 0, 0]),
        "bfloat16": torch.zeros(3, dtype=torch.bfloat16),
    }.items():
        yield f"cmc_units {name}", {"similarity": GOOD, "positives": RIGHT, "cmc_units": units}, "refused"
    yield "cmc_units text", {"similarity": GOOD, "positives": RIGHT, "cmc_units": ["a", "b", "a"]}, "accepted"


def _ranks() -> Iterator[tuple[str, dict[str, Any], Expect]]:
    base = BASE
    odd: dict[str, tuple[list[Any], list[Any]]] = {
        "text": (["a", "b"], ["a", "b", "c"]),
        "None": ([None] * 2, [None] * 3),
        "NaN": ([np.nan] * 2, [np.nan] * 3),
        "complex": ([1j, 2], [1j, 2, 3]),
        "objects": ([object()] * 2, [object()] * 3),
        "too many": ([1] * 3, [1] * 4),
        "masked": ([5, 6], np.ma.masked_array([6, 5, 5], [0, 1, 0])),
        "sparse": (torch.tensor([5, 6]).to_sparse(), [6, 5, 5]),
        "meta": (torch.zeros(2, device="meta"), [6, 5, 5]),
        "floats beyond doubles": ([2**53 + 1, 6], [6.0, 2.0**53, 2.0**53]),
    }
    for name, (queries, gallery) in odd.items():
        for what in ("cams", "ids"):
            if (name, what) != ("text", "ids"):
                change = {f"query_{what}": queries, f"gallery_{what}": gallery}
                yield f"{what} {name}", {"similarity": GOOD, **base, **change}, "refused"
    for name, similarity in {
        "nested": torch.nested.nested_tensor([torch.tensor(row) for row in GOOD], layout=torch.jagged),
        "sparse": torch.tensor(GOOD).to_sparse(),
        "masked": np.ma.masked_array(GOOD, RIGHT),
    }.items():
        yield f"similarity {name}", {"similarity": similarity, **base}, "refused"
    yield "ids of two types", {"similarity": GOOD, **base, "query_ids": ["5", "6"]}, "refused"
    yield "unknown rule", {"similarity": GOOD, **base, "rule": "market"}, "refused"
    yield "no cameras", {"similarity": GOOD, **base, "query_cams": None}, "refused"
    text = {"query_ids": ["5", "6"], "gallery_ids": ["6", "5", "5"]}
    yield "ids of text", {"similarity": GOOD, **base, **text}, "accepted"


def _galleries() -> Iterator[tuple[str, Any, Expect]]:
    yield "a mask of booleans", np.array([True, False, True]), "refused"
    yield "floats", np.array([0.0, 1.0]), "refused"
    yield "text", np.array(["a"]), "refused"
    yield "beyond the end", np.array([0, 3]), "refused"
    yield "negative", np.array([-1]), "refused"
    yield "2-d", np.array([[0, 1]]), "refused"
    yield "empty", np.array([], int), "refused"
    yield "a number", 3, "refused"
    yield "a list", [0, 1, 2], "accepted"
    yield "unsigned", np.array([2, 1, 0], np.uint8), "accepted"


def _centroids() -> Iterator[tuple[str, Any]]:
    yield "NaN", torch.tensor([[1.0, float("nan")], [0.0, 1.0]])
    yield "infinite", torch.tensor([[1.0, float("inf")], [0.0, 1.0]])
    yield "no cluster", torch.zeros(0, 2)
    yield "1-d", torch.zeros(2)
    yield "another length", torch.ones(2, 3)


def _try(which: str, arguments: dict[str, Any], _: Path) -> int:
    from usvi_bench.protocols.metrics import retrieval_metrics
    from usvi_bench.protocols.rules import rank_metrics

    function: Callable[..., Any] = {"retrieval": retrieval_metrics, "rank": rank_metrics}[which]

    def score() -> None:
        found = function(**arguments)
        require(0 <= found.mAP <= 1 and np.all(np.diff(found.cmc) >= 0), f"mAP {found.mAP}")

    return call(score, (ValueError,))


def _gallery(gallery: Any, _: Path) -> int:
    from usvi_bench.protocols.masks import RetrievalMasks
    from usvi_bench.protocols.metrics import score_galleries

    def score() -> None:
        masks = RetrievalMasks(np.ones((2, np.size(gallery)), bool))
        found = score_galleries(torch.eye(2), torch.ones(3, 2), [gallery], lambda rows, _: masks)
        require(found.metrics[0].mAP == 1, f"mAP {found.metrics[0].mAP}")

    return call(score, (ValueError,))


def _match(association: str, visible: Any, _: Path) -> int:
    from usvi_bench.components.association import ASSOCIATIONS

    return call(lambda: ASSOCIATIONS[association](visible, torch.eye(2)), (ValueError,))
