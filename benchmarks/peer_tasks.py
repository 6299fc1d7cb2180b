"""Tasks of the comparison with public peers: inputs, sides and the agreement of their results; see ``peers.py``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from usvi_bench.benchmarks.clustering import EPS, Case, label_agreement, make_case, naive, ours
from usvi_bench.benchmarks.scoring import Case as RankingCase
from usvi_bench.benchmarks.scoring import growth
from usvi_bench.components.clustering.neighbours import nearest
from usvi_bench.protocols.rules import rank_metrics

K = 30
FAISS = 'pip install ".[cpu]"'
CLUSTER_CONTRAST = "--cluster-contrast FOLDER, with a checkout of alibaba/cluster-contrast-reid, and faiss"
FAST_REID = "--fast-reid FOLDER, with a checkout of JDAI-CV/fast-reid after make in fastreid/evaluation/rank_cylib"


@dataclass(frozen=True)
class Side:
    """Side of a comparison.

    Attributes:
        name: name in the table.
        run: function of the input; it returns what is compared with our result, or None.
        install: way to install a side that is missing; empty if it is present.
    """

    name: str
    run: Callable[[Any], Any]
    install: str = ""


@dataclass(frozen=True, eq=False)
class Task:
    """Task with its input, a small input for warm-up calls, and its sides; ours is the first.

    ``agreement`` compares our result with that of another side: 1 if they are equal.
    """

    name: str
    given: Any
    small: Any
    sides: Sequence[Side]
    agreement: Callable[[Any, Any], float]


def search_task(size: int, dimension: int, *, faiss: bool) -> Task:
    """Make the search for the 30 nearest of all features, the feature itself included."""
    features = make_case("modality", size, dimension).features
    sides = [
        Side("usvi-bench", lambda x: nearest(torch.from_numpy(x), K, "exact")[1].numpy()),
        Side("half product", _half_product),
        Side("faiss-cpu IndexFlatL2", _faiss_lists, "" if faiss else FAISS),
        Side("torch addmm + topk", _torch_lists),
        Side("scikit-learn NearestNeighbors", _sklearn_lists),
    ]
    return Task(f"search {size:,} x {dimension}", features, features[:500], sides, _overlap)


def labelling_task(size: int, dimension: int, released: Path | None, *, faiss: bool) -> Task:
    """Make the pseudo-labelling of one modality; released code runs its search on a CPU."""
    case = make_case("modality", size, dimension)
    sides = [
        Side("usvi-bench", lambda case: ours(case, "cpu", "exact")[0]),
        Side("literal Jaccard + DBSCAN", lambda case: naive(case)[0], "" if faiss else FAISS),
        Side(
            "cluster-contrast, released",
            partial(_cluster_contrast, released or Path()),
            "" if released else CLUSTER_CONTRAST,
        ),
    ]
    return Task(f"labels {size:,} x {dimension}", case, case.first(200), sides, _same_clusters)


def ranking_task(gallery: int, queries: int, released: Path | None) -> Task:
    """Make the ranking of queries in a gallery, without gallery images of the query's person and camera."""
    theirs = Side("fast-reid, Cython", partial(_fast_reid, released or Path()), "" if released else FAST_REID)
    sides = [Side("usvi-bench", _rank), theirs]
    small = growth(100, queries=5)
    return Task(f"ranking {queries:,} x {gallery:,}", growth(gallery, queries), small, sides, _same_scores)


def _half_product(x: Any) -> None:
    np.matmul(x[: len(x) // 2], x.T)


def _faiss_lists(x: Any) -> Any:
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatL2(x.shape[1])
    index.add(x)
    return index.search(x, K)[1]


def _torch_lists(x: Any) -> Any:
    rows = torch.from_numpy(x)
    squares = rows.square().sum(1)
    blocks = [torch.addmm(squares, part, rows.T, alpha=-2).topk(K, largest=False)[1] for part in rows.split(2048)]
    return torch.cat(blocks).numpy()


def _sklearn_lists(x: Any) -> Any:
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=K, algorithm="brute").fit(x).kneighbors(x, return_distance=False)


def _cluster_contrast(folder: Path, case: Case) -> Any:
    """Run the released distance as the released training does, but with its search for a CPU."""
    from sklearn.cluster import DBSCAN

    package = ModuleType("released_utils")  # the package itself imports models and data sets
    package.__path__ = [str(folder / "clustercontrast" / "utils")]
    sys.modules[package.__name__] = package
    released = importlib.import_module("released_utils.faiss_rerank")
    features = torch.from_numpy(case.features)
    distance = released.compute_jaccard_distance(features, k1=case.k1, k2=case.k2, print_flag=False, search_option=3)
    return DBSCAN(eps=EPS, min_samples=4, metric="precomputed", n_jobs=-1).fit_predict(distance)


def _sides(case: RankingCase) -> tuple[Any, Any, Any, Any]:
    return case.query_ids, case.candidate_ids, case.query_cams, case.candidate_cams


def _rank(case: RankingCase) -> tuple[float, float]:
    metrics = rank_metrics(case.queries @ case.candidates.T, *_sides(case), "llcm")
    return metrics.mAP, metrics.mINP


def _fast_reid(folder: Path, case: RankingCase) -> tuple[float, float]:
    sys.path.insert(0, str(folder / "fastreid" / "evaluation" / "rank_cylib"))
    _, precisions, penalties = importlib.import_module("rank_cy").evaluate_cy(
        1 - case.queries @ case.candidates.T, *_sides(case), 50
    )
    return float(np.mean(precisions)), float(np.mean(penalties))


def _overlap(mine: Any, other: Any) -> float:
    return float(np.mean([len(np.intersect1d(a, b)) / len(a) for a, b in zip(mine, other, strict=True)]))


def _same_clusters(mine: Any, other: Any) -> float:
    return float(label_agreement(mine, other)["ari"])


def _same_scores(mine: Any, other: Any) -> float:
    return 1 - max(abs(float(a) - float(b)) for a, b in zip(mine, other, strict=True))
