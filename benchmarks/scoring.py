"""Time and memory of scoring, compared with a loop over queries written from the definition.

``python -m benchmarks.scoring [--device cuda] [--sizes 10000 100000 1000000] [--json FILE]`` scores random features of
people in the shape of the published test sets (SYSU-MM01 all-search with its ten galleries, RegDB in one direction) and
in galleries of growing size. Times include the matrix products; the loop multiplies in double precision, as the public
evaluation codes do. Protocols use ``float64``. A difference is the largest absolute difference of any metric from the
loop; for ``same matrix``, both score the same similarity matrix.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from usvi_bench.benchmarks.measure import machine, measured
from usvi_bench.core.files import write_json
from usvi_bench.core.revision import ROOT
from usvi_bench.core.seeding import numpy_generator
from usvi_bench.datasets.base import ImageTable
from usvi_bench.protocols.draws import seeded_gallery
from usvi_bench.protocols.masks import RetrievalMasks
from usvi_bench.protocols.metrics import RankMetrics, score_galleries
from usvi_bench.protocols.rules import RULES, Rule, rank_metrics

Integers = NDArray[np.int64]
SIZES = (10_000, 100_000)
LOOP_PAIRS = 10_000_000
"""Maximum number of query-gallery pairs that the loop scores; it gets fewer queries for larger galleries."""
AGREEMENT = 1e-9
COLUMNS = {
    "case": ("case", "15"),
    "path": ("path", "8"),
    "queries": ("queries", "8"),
    "mAP": ("mAP", "7.3f"),
    "wall": ("wall s", "8.3f"),
    "best": ("best s", "8.3f"),
    "cpu": ("CPU s", "8.3f"),
    "extra_mib": ("extra MiB", "10.0f"),
    "gpu_mib": ("GPU MiB", "8.0f"),
}


@dataclass(frozen=True, eq=False)
class Case:
    """Case of the benchmark: features, identities and cameras of both sides, and candidate rows of each gallery."""

    name: str
    rule: Rule
    queries: NDArray[np.float32]
    candidates: NDArray[np.float32]
    galleries: tuple[Integers, ...]
    query_ids: Integers
    candidate_ids: Integers
    query_cams: Integers
    candidate_cams: Integers

    def masks(self, rows: slice, gallery: int) -> RetrievalMasks:
        """Return the masks of some queries and a gallery."""
        columns = self.galleries[gallery]
        ids, cams = self.candidate_ids[columns], self.candidate_cams[columns]
        return RULES[self.rule](self.query_ids[rows], ids, self.query_cams[rows], cams)

    def first(self, count: int) -> Case:
        """Return the case with the first ``count`` queries."""
        return replace(
            self, queries=self.queries[:count], query_ids=self.query_ids[:count], query_cams=self.query_cams[:count]
        )


def sysu(width: int = 2048, people: int | None = None) -> Case:
    """Make a case like SYSU-MM01 all-search: its test people, cameras and ten seeded galleries."""
    with (ROOT / "protocols" / "data" / "sysu_test_counts.csv").open() as file:
        counts = [{key: int(value) for key, value in row.items()} for row in csv.DictReader(file)][:people]
    sides = []
    for cameras in ((3, 6), (1, 2, 4, 5)):
        rows = [(row["identity"], camera) for row in counts for camera in cameras for _ in range(row[f"cam{camera}"])]
        sides.append(np.array(rows).T)
    (query_ids, query_cams), (ids, cams) = sides
    table = ImageTable("visible", Path(), ("",) * len(ids), ids, cams)
    galleries = tuple(seeded_gallery(table, (1, 2, 4, 5), trial) for trial in range(10))
    features = _features(width, query_ids, ids)
    return Case("sysu_all", "sysu", *features, galleries, query_ids, ids, query_cams, cams)


def regdb(width: int = 2048, people: int | None = None) -> Case:
    """Make a case like one direction of RegDB: ten images of each of 206 people on either side."""
    ids = np.repeat(np.arange(people or 206), 10)
    cams = np.zeros_like(ids)
    return Case("regdb", "regdb", *_features(width, ids, ids), (np.arange(len(ids)),), ids, ids, cams, cams)


def growth(size: int, queries: int = 1000, width: int = 64) -> Case:
    """Make a case with a gallery of the given size: fifty images of each person from eight cameras."""
    generator = numpy_generator(0, "growth", size)
    ids, cams = np.arange(size) // 50, generator.integers(1, 9, size)
    query_ids, query_cams = generator.choice(ids, queries), generator.integers(1, 9, queries)
    features = _features(width, query_ids, ids)
    return Case(f"gallery {size}", "llcm", *features, (np.arange(size),), query_ids, ids, query_cams, cams)


def _features(width: int, query_ids: Integers, ids: Integers) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw unit vectors around one centre per person."""
    generator = numpy_generator(0, "features", width)
    centres = generator.standard_normal((ids.max() + 1, width), dtype=np.float32)

    def side(ids: Integers) -> NDArray[np.float32]:
        features = generator.standard_normal((len(ids), width), dtype=np.float32)
        features *= 0.6 * width**0.25  # people overlap for any width
        for start in range(0, len(ids), 4096):
            features[start : start + 4096] += centres[ids[start : start + 4096]]
        features /= np.sqrt(np.einsum("nd,nd->n", features, features))[:, None]
        return features

    return side(query_ids), side(ids)


Scores = list[dict[str, Any]]
"""Metrics of each gallery."""


def summary(metrics: RankMetrics) -> dict[str, Any]:
    """Return the metrics to compare."""
    return {"cmc": metrics.cmc[:20], "mAP": metrics.mAP, "mINP": metrics.mINP, "AP": metrics.average_precision}


def ours(case: Case, device: str, kind: torch.dtype) -> Scores:
    """Score a case with this project's implementation, from features in host memory."""
    queries, candidates = (torch.from_numpy(side).to(device, kind) for side in (case.queries, case.candidates))
    scored = score_galleries(queries, candidates, case.galleries, case.masks)
    return [summary(metrics) for metrics in scored.metrics]


def loop(case: Case) -> Scores:
    """Score a case query by query, as the public evaluation codes do."""
    queries, candidates = case.queries.astype(np.float64), case.candidates.astype(np.float64)
    return [_loop(case, rows, queries @ candidates[rows].T) for rows in case.galleries]


def _loop(case: Case, rows: Integers, similarity: NDArray[np.float64]) -> dict[str, Any]:
    ids, cams = case.candidate_ids[rows], case.candidate_cams[rows]
    order = np.argsort(-similarity, axis=1, kind="stable")
    curves, precisions, penalties = [], np.full(len(order), np.nan), []
    for query, (identity, camera) in enumerate(zip(case.query_ids, case.query_cams, strict=True)):
        ranked, seen_by = ids[order[query]], cams[order[query]]
        if case.rule == "sysu":
            ranked = ranked[np.where(seen_by == 3, 2, seen_by) != (2 if camera == 3 else camera)]
        elif case.rule == "llcm":
            ranked = ranked[(ranked != identity) | (seen_by != camera)]
        places = np.flatnonzero(ranked == identity) + 1
        if not len(places):
            continue
        precisions[query] = np.mean(np.arange(1, len(places) + 1) / places)
        penalties.append(len(places) / places[-1])
        shown = ranked if case.rule == "regdb" else ranked[np.sort(np.unique(ranked, return_index=True)[1])]
        curves.append(np.arange(20) >= np.flatnonzero(shown == identity)[0])
    mAP, mINP = np.nanmean(precisions), np.mean(penalties)
    return {"cmc": np.mean(curves, axis=0), "mAP": mAP, "mINP": mINP, "AP": precisions}


def same_matrix(case: Case) -> float:
    """Return the largest difference of any metric between both implementations on the same similarity matrix."""
    queries, candidates = case.queries.astype(np.float64), case.candidates.astype(np.float64)
    worst = 0.0
    for rows in case.galleries:
        similarity = queries @ candidates[rows].T
        sides = (case.query_ids, case.candidate_ids[rows], case.query_cams, case.candidate_cams[rows])
        found = summary(rank_metrics(similarity, *sides, case.rule))
        worst = max(worst, difference([found], [_loop(case, rows, similarity)]))
    return worst


def difference(found: Scores, expected: Scores) -> float:
    """Return the largest absolute difference of any metric; curves shorter than 20 are padded with their last value."""
    worst = 0.0
    for one, other in zip(found, expected, strict=True):
        for key, value in one.items():
            value = np.pad(value, (0, 20 - len(value)), mode="edge") if key == "cmc" else value
            np.testing.assert_array_equal(np.isnan(value), np.isnan(other[key]))
            worst = max(worst, float(np.nanmax(np.abs(value - other[key]))))
    return worst


def compare(case: Case, device: str, repeats: int) -> list[dict[str, Any]]:
    """Measure and print all implementations on one case."""
    tiny = regdb(width=8, people=2)
    rows, results = [], {}
    short = case.first(max(1, min(len(case.queries), LOOP_PAIRS // max(map(len, case.galleries)))))
    paths: dict[str, tuple[Case, Callable[[Case], Scores], int]] = {
        "float32": (case, lambda task: ours(task, device, torch.float32), repeats),
        "float64": (case, lambda task: ours(task, device, torch.float64), repeats),
        "loop": (short, loop, 1),
    }
    for path, (task, score, times) in paths.items():
        results[path], taken = measured(partial(score, task), prepare=partial(score, tiny), repeats=times)
        mAP = float(np.mean([metrics["mAP"] for metrics in results[path]]))
        row = {"case": case.name, "path": path, "queries": len(task.queries), "mAP": mAP, **asdict(taken)}
        rows.append(row)
        print("".join(f"{row[key]:>{form}}" for key, (_, form) in COLUMNS.items()), flush=True)
    agreement, _ = measured(partial(same_matrix, short))
    loop_wall = rows[-1]["wall"] * len(case.queries) / len(short.queries)
    for row in rows[:-1]:
        row["ratio"] = loop_wall / row["wall"]
        if len(short.queries) == len(case.queries):
            row["difference"] = difference(results[row["path"]], results["loop"])
    ratios = ", ".join(f"{row['path']} {row['ratio']:.0f} times faster" for row in rows[:-1])
    print(f"{case.name:>14} {ratios}; largest difference on the same matrix {agreement:.1e}", flush=True)
    if agreement > AGREEMENT:
        raise SystemExit(f"{case.name}: metrics differ by {agreement:.1e} from the loop, more than {AGREEMENT}")
    rows[-1]["same_matrix_difference"] = agreement
    return rows


def main() -> None:
    """Measure all cases."""
    parser = argparse.ArgumentParser(description="Scoring compared with a loop over queries.")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="galleries of the growth table")
    parser.add_argument("--repeats", type=int, default=7, help="runs of our implementation; the median is reported")
    parser.add_argument("--people", type=int, help="number of people in the published shapes, for a quick test")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    print("".join(f"{heading:>{form.partition('.')[0]}}" for heading, form in COLUMNS.values()))
    makers: list[Callable[[], Case]] = [partial(sysu, people=options.people), partial(regdb, people=options.people)]
    rows = []
    for make in makers + [partial(growth, size) for size in options.sizes]:
        rows += compare(make(), options.device, options.repeats)
    if options.json:
        device = torch.device(options.device)
        write_json(options.json, {"machine": machine(device), "device": options.device, "rows": rows})


if __name__ == "__main__":
    main()
