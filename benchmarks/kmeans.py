"""Time and inertia of the batched k-means of sub-centres, compared with scikit-learn's, one cluster after another.

``python -m benchmarks.kmeans`` splits 400 clusters of 86 features of 2048 into nine parts, as HIL does in every epoch
on SYSU-MM01. Both sides have the same restarts and one thread, and run in turn in separate processes. Ratios are of CPU
seconds, because other processes may share the cores.
"""

from __future__ import annotations

import argparse
import statistics
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from usvi_bench.benchmarks.features import people
from usvi_bench.benchmarks.measure import machine, measured
from usvi_bench.components.memory.batched_kmeans import RESTARTS, part_means
from usvi_bench.core.files import write_json
from usvi_bench.core.seeding import derive, torch_generator

Floats = NDArray[np.float32]


def make_clusters(clusters: int, size: int, dimension: int) -> Floats:
    """Draw features ``[C, M, D]`` of clusters that hold about ``M / 25`` people each."""
    crowd = people(clusters * size, dimension)
    return crowd.features[np.argsort(crowd.identities, kind="stable")].reshape(clusters, size, dimension)


def ours(features: Floats, count: int, seed: int) -> Floats:
    """Split all clusters together and return the centres ``[C, S, D]``."""
    clusters, size, dimension = features.shape
    points = torch.from_numpy(features.reshape(-1, dimension))
    generator = torch_generator(seed, "sub_centres", 0)
    offsets = part_means(points, torch.arange(len(points)), [size] * clusters, count, generator)
    centres: Floats = features.mean(axis=1, keepdims=True) + offsets.numpy()
    return centres


def one_by_one(features: Floats, count: int, seed: int) -> Floats:
    """Split the clusters one after another by scikit-learn and return the centres ``[C, S, D]``."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        kmeans = KMeans(count, n_init=RESTARTS, random_state=derive(seed, "sub_centres", 0) % 2**32)
        return np.stack([kmeans.fit(members).cluster_centers_ for members in features])


def inertia(features: Floats, centres: Floats) -> float:
    """Compute the mean over clusters of the sum of squared distances to the nearest centre."""
    total = 0.0
    for members, own in zip(features.astype(float), centres.astype(float), strict=True):
        products = np.square(members).sum(1)[:, None] + np.square(own).sum(1) - 2 * members @ own.T
        total += float(products.min(axis=1).sum())
    return total / len(features)


def compare(features: Floats, count: int, seeds: int) -> dict[str, Any]:
    """Measure both implementations in turn with every seed."""
    sides = {"batched": ours, "scikit-learn": one_by_one}
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    for seed in range(seeds):
        for name, split in sides.items():
            warm_up = partial(split, features[:2], count, seed)
            centres, taken = measured(partial(split, features, count, seed), prepare=warm_up, threads=1)
            row = {"cpu": taken.cpu, "extra_mib": taken.extra_mib, "inertia": inertia(features, centres)}
            rows[name].append(row)
            print(f"seed {seed} {name:>12}: {row['cpu']:7.2f} CPU s, inertia {row['inertia']:.5f}", flush=True)
    fast, slow = (rows[name] for name in sides)
    ratios = [b["cpu"] / a["cpu"] for a, b in zip(fast, slow, strict=True)]
    mean = {name: statistics.mean(row["inertia"] for row in part) for name, part in rows.items()}
    return {"paths": rows, "ratio": statistics.median(ratios), "ratios": ratios, "mean_inertia": mean}


def main() -> None:
    """Measure the case of the command line."""
    parser = argparse.ArgumentParser(description="Batched k-means compared with scikit-learn.")
    parser.add_argument("--clusters", type=int, default=400)
    parser.add_argument("--size", type=int, default=86, help="number of features in a cluster")
    parser.add_argument("--dim", type=int, default=2048, help="number of features of an image")
    parser.add_argument("--parts", type=int, default=9, help="parts of a cluster")
    parser.add_argument("--seeds", type=int, default=3, help="number of runs of each side")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    result = compare(make_clusters(options.clusters, options.size, options.dim), options.parts, options.seeds)
    means = ", ".join(f"{name} {value:.5f}" for name, value in result["mean_inertia"].items())
    print(f"{result['ratio']:.1f} times faster (median); mean inertia {means}")
    if options.json:
        shape = {name: getattr(options, name) for name in ("clusters", "size", "dim", "parts")}
        write_json(options.json, {"machine": machine(), **shape, "restarts": RESTARTS, **result})


if __name__ == "__main__":
    main()
