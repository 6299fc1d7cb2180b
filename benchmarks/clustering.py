"""Time and memory of pseudo-labelling, compared with a dense implementation of the definition.

``python -m benchmarks.clustering`` labels synthetic people in the sizes of the published data sets. ``--joint`` labels
both modalities of SYSU-MM01 together. ``--growth`` goes from 10,000 to a million images with 256 features, and searches
neighbours approximately from 200,000 images on. ``--agreement`` compares approximate with exact labels. ``--json FILE``
keeps the rows of earlier runs on the same machine and replaces those measured again, so a long table can be made in
several runs. ``--sizes`` without a number measures nothing; with ``--json`` and ``--plot`` it only draws the table.

Both implementations start from features in host memory. The seconds are those of the fastest of ``--repeats`` runs,
each in a separate process. The memory of the dense implementation includes copies that scikit-learn makes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from usvi_bench.benchmarks.clustering_plot import plot
from usvi_bench.benchmarks.features import people, purity
from usvi_bench.benchmarks.measure import machine, measured
from usvi_bench.benchmarks.naive_clustering import naive_jaccard, naive_labels, naive_lists
from usvi_bench.components.clustering.dbscan import pseudo_labels
from usvi_bench.components.clustering.neighbours import EXACT_UP_TO, Search, nearest
from usvi_bench.core import measuring
from usvi_bench.core.files import write_json

Integers = NDArray[np.int64]
Row = dict[str, Any]
SIZES = (2_060, 4_000, 8_000, 12_000, 22_258)
"""RegDB's training images of one modality, three sizes in between, SYSU-MM01's visible training images."""
JOINT = 34_167
"""SYSU-MM01's training images of both modalities."""
GROWTH = (10_000, 30_000, 100_000, 200_000, 500_000, 1_000_000)
AGREEMENT = 50_000
EPS, MIN_SAMPLES = 0.6, 4
TIE = 1e-6
"""Squared distances with a smaller difference count as ties, whose order may vary."""
WARM_UP = 1_000
"""Number of images of the warm-up call, which compiles kernels."""
COLUMNS = {
    "case": ("case", "18"),
    "path": ("path", "12"),
    "clusters": ("clusters", "9"),
    "wall": ("wall s", "8.2f"),
    "cpu": ("CPU s", "8.2f"),
    "extra_mib": ("extra MiB", "10.0f"),
    "gpu_mib": ("GPU MiB", "8.0f"),
    "search_seconds": ("search s", "9.2f"),
    "distance_seconds": ("distance", "9.2f"),
    "dbscan_seconds": ("DBSCAN", "8.2f"),
    "recall": ("recall", "7.3f"),
}


@dataclass(frozen=True, eq=False)
class Case:
    """Case of the benchmark: features ``[N, D]``, their origin (``facts``) and the settings of labelling."""

    kind: str
    features: NDArray[np.float32]
    facts: Row
    k1: int = 30
    k2: int = 6
    groups: Integers | None = None

    def first(self, count: int) -> Case:
        """Return the case with the first ``count`` images."""
        groups = None if self.groups is None else self.groups[:count]
        return replace(self, features=self.features[:count], groups=groups)


Labeller = Callable[[Case], tuple[Integers, Row]]
"""Function that returns labels ``[N]`` and the metrics collected on the way."""


def make_case(kind: str, size: int, dimension: int, noise: float = 0.9, offset: float = 0.4) -> Case:
    """Make a case of synthetic people; a joint case is balanced over two modalities of two cameras each."""
    crowd = people(size, dimension, noise, offset)
    pure, _ = measured(partial(purity, crowd.features, crowd.identities))
    facts = {"kind": kind, "size": size, "dimension": dimension, "noise": noise, "offset": offset, "purity": pure}
    joint: dict[str, Any] = {"k1": 40, "k2": 32, "groups": crowd.cameras // 2} if kind == "joint" else {}
    return Case(kind, crowd.features, facts, **joint)


def ours(case: Case, device: str, search: Search) -> tuple[Integers, Row]:
    """Label a case with this project's implementation, from features in host memory."""
    with measuring.collect_metrics() as figures:
        labels = pseudo_labels(
            torch.from_numpy(case.features).to(device),
            eps=EPS,
            k1=case.k1,
            k2=case.k2,
            min_samples=MIN_SAMPLES,
            groups=case.groups,
            search=search,
            at_least=0,
        )
    return labels.cpu().numpy(), figures


def naive(case: Case, lists: Integers | None = None) -> tuple[Integers, Row]:
    """Label a case with the dense implementation."""
    with measuring.collect_metrics() as figures:
        distance = naive_jaccard(case.features, case.k1, case.k2, case.groups, lists)
        labels = naive_labels(distance, EPS, MIN_SAMPLES)
    return labels, figures


def both_lists(case: Case, device: str) -> tuple[Integers, Integers]:
    """Return the neighbour lists of both implementations."""
    found = nearest(torch.from_numpy(case.features).to(device), case.k1, "exact")[1]
    return found.cpu().numpy(), naive_lists(case.features, case.k1)


def list_differences(features: NDArray[np.float32], found: Integers, expected: Integers) -> Row:
    """Count the differing entries of two neighbour lists, separately for ties and errors."""
    rows, places = np.nonzero(found != expected)
    gaps = [
        abs(float(np.square(own - features[a], dtype=float).sum() - np.square(own - features[b], dtype=float).sum()))
        for own, a, b in zip(features[rows], found[rows, places], expected[rows, places], strict=True)
    ]
    return {"list_ties_swapped": sum(d <= TIE for d in gaps), "list_errors": sum(d > TIE for d in gaps)}


def label_agreement(labels: Integers, expected: Integers) -> Row:
    """Compute adjusted Rand indices, with each outlier as its own cluster, and with all outliers as one cluster."""
    singled = [np.where(part < 0, part.max() + 1 + np.arange(len(part)), part) for part in (labels, expected)]
    return {
        "labels_identical": bool(np.array_equal(labels, expected)),
        "ari": float(adjusted_rand_score(*singled)),
        "ari_outliers_together": float(adjusted_rand_score(labels, expected)),
    }


def measure_path(case: Case, path: str, label: Labeller, repeats: int) -> tuple[Integers, Row]:
    """Measure one implementation and print its row."""
    warm_up = partial(label, case.first(WARM_UP))
    runs = [measured(partial(label, case), prepare=warm_up) for _ in range(repeats)]
    (labels, figures), measurement = min(runs, key=lambda run: run[1].wall)
    row = {**asdict(measurement), **figures, "clusters": int(labels.max()) + 1, "outliers": int((labels < 0).sum())}
    del row["best"]  # equals "wall": there is one repeat per process
    row["after_search_seconds"] = row["wall"] - row["search_seconds"]
    cells = {"case": f"{case.kind} {len(case.features)}", "path": path, **row}
    print("".join(_padded(cells.get(key), form) for key, (_, form) in COLUMNS.items()), flush=True)
    return labels, row


def compare_with_naive(case: Case, device: str, repeats: int, naive_up_to: int) -> Row:
    """Measure our implementation and, up to ``naive_up_to`` images, the dense one, and compare their results."""
    labels, row = measure_path(case, "ours", partial(ours, device=device, search="exact"), repeats)
    result = {**case.facts, "paths": {"ours": row}}
    if len(case.features) > naive_up_to:
        return result
    expected, reference = measure_path(case, "naive", naive, repeats)
    result["paths"]["naive"] = reference
    result |= {
        "ratio": reference["wall"] / row["wall"],
        "ratio_after_search": reference["after_search_seconds"] / row["after_search_seconds"],
        "memory_ratio": reference["extra_mib"] / max(row["extra_mib"], 1),
    }
    (found, lists), _ = measured(partial(both_lists, case, device))
    result |= list_differences(case.features, found, lists)
    result |= label_agreement(labels, expected)
    if not result["labels_identical"]:  # ties may be the cause: with our lists, the naive labels must equal ours
        (expected, _), _ = measured(partial(naive, case, found))
        result["labels_identical_with_our_lists"] = bool(np.array_equal(labels, expected))
    return result


def measure_ours(case: Case, device: str, repeats: int) -> Row:
    """Measure our implementation only; on a CPU it is approximate from :data:`EXACT_UP_TO` images on."""
    search: Search = "exact" if device == "cuda" or len(case.features) < EXACT_UP_TO else "approximate"
    _, row = measure_path(case, search, partial(ours, device=device, search=search), repeats)
    return {**case.facts, "paths": {search: row}}


def compare_searches(case: Case, device: str, repeats: int) -> Row:
    """Measure approximate and exact labelling, and compare their labels."""
    labels, rows = {}, {}
    kinds: tuple[Search, ...] = ("exact", "approximate")
    for search in kinds:
        labels[search], rows[search] = measure_path(case, search, partial(ours, device=device, search=search), repeats)
    return {**case.facts, "paths": rows, **label_agreement(labels["approximate"], labels["exact"])}


def describe_row(row: Row) -> str:
    """Format the properties and comparisons of a row."""
    parts = [f"{row['size']} x {row['dimension']}, noise {row['noise']}, 30-NN purity {row['purity']:.2f}"]
    if "ratio" in row:
        parts.append(f"{row['ratio']:.1f} times faster, after the search {row['ratio_after_search']:.1f} times")
        parts.append(f"1/{row['memory_ratio']:.1f} of the memory")
    if "list_errors" in row:
        parts.append(f"list entries differing {row['list_errors']}, ties swapped {row['list_ties_swapped']}")
    if "ari" in row:
        parts.append(f"labels {'identical' if row['labels_identical'] else 'differ'}, ARI {row['ari']:.4f}")
    if "labels_identical_with_our_lists" in row:
        parts.append(f"with our lists {'identical' if row['labels_identical_with_our_lists'] else 'they differ too'}")
    return "  " + "; ".join(parts)


def load_table(file: Path | None, device: str) -> Row:
    """Load the table of a file, or start a new one.

    Raises:
        SystemExit: the file was measured on another machine or device.
    """
    where, _ = measured(partial(machine, torch.device(device)))  # in a child: this process must not initialise CUDA
    commit = {key: where.pop(key) for key in ("commit", "dirty")}
    fresh = {"machine": where, "device": device, "rows": []}
    held = json.loads(file.read_text()) if file and file.exists() else fresh
    if (held["machine"], held["device"]) != (where, device):
        raise SystemExit(f"{file} was measured on another machine, device or set of versions; choose another --json")
    return {**held, "this": commit}


def replace_row(table: Row, row: Row) -> None:
    """Add a row, or replace the earlier row of the same case."""

    def key(row: Row) -> tuple[str, int, int]:
        return row["kind"], row["size"], row["dimension"]

    others = [other for other in table["rows"] if key(other) != key(row)]
    table["rows"] = sorted([*others, {**row, **table["this"]}], key=key)


def _padded(value: Any, form: str) -> str:
    return f"{'' if value is None else value:>{form.partition('.')[0] if value is None else form}}"


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Pseudo-labelling compared with a dense implementation.")
    parser.add_argument("--sizes", type=int, nargs="*", help=f"numbers of images; default {SIZES} without other modes")
    parser.add_argument("--dim", type=int, default=2048, help="number of features for --sizes and --joint")
    parser.add_argument("--joint", type=int, nargs="?", const=JOINT, help="both modalities, balanced, k1=40, k2=32")
    parser.add_argument("--growth", type=int, nargs="*", help="numbers of images, ours only, 256 features")
    parser.add_argument("--agreement", type=int, nargs="?", const=AGREEMENT, help="approximate and exact, 256 features")
    parser.add_argument("--naive-up-to", type=int, default=SIZES[-1], help="largest dense case; 34167 needs 14 GB")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="device of our implementation")
    parser.add_argument("--repeats", type=int, default=1, help="runs per implementation; the fastest is reported")
    parser.add_argument("--json", type=Path, help="file to write or to extend")
    parser.add_argument("--plot", type=Path, help="figure of all rows; writes .png, .svg and .pdf")
    options = parser.parse_args()
    if all(getattr(options, mode) is None for mode in ("sizes", "joint", "growth", "agreement")):
        options.sizes = SIZES
    options.growth = GROWTH if options.growth == [] else options.growth
    return options


def main() -> None:
    """Measure the cases of the command line."""
    options = arguments()
    device, repeats = options.device, options.repeats
    table = load_table(options.json, device)
    compare = partial(compare_with_naive, device=device, repeats=repeats, naive_up_to=options.naive_up_to)
    tasks: list[tuple[Callable[[], Case], Callable[[Case], Row]]] = []
    tasks += [(partial(make_case, "modality", size, options.dim), compare) for size in options.sizes or ()]
    tasks += [(partial(make_case, "joint", options.joint, options.dim), compare)] if options.joint else []
    grow, agree = (partial(measure, device=device, repeats=repeats) for measure in (measure_ours, compare_searches))
    tasks += [(partial(make_case, "growth", size, 256, 0.6, 0.3), grow) for size in options.growth or ()]
    tasks += [(partial(make_case, "agreement", options.agreement, 256, 0.7, 0.3), agree)] if options.agreement else []
    print("".join(f"{heading:>{form.partition('.')[0]}}" for heading, form in COLUMNS.values()))
    for make, measure in tasks:
        row = measure(make())
        print(describe_row(row), flush=True)
        replace_row(table, row)
        if options.json:
            write_json(options.json, {key: table[key] for key in ("machine", "device", "rows")})
    if options.plot:
        plot(table["rows"], options.plot.with_suffix(""))


if __name__ == "__main__":
    main()
