"""CPU seconds of neighbour search, pseudo-labelling and ranking, compared with public libraries and released code.

``python -m benchmarks.peers`` measures all sides in one run and writes ``benchmarks/results/peers.json``. In each round
every side of a task runs once, in turn, on one thread and in its own process, after a small warm-up call. A ratio is
the median over rounds of the CPU seconds of a peer divided by ours of the same round. ``half product`` is no peer: it
is the least that a symmetric search has to multiply, by the same matrix library, and includes the memory of its result.
Results of all sides are compared.

A peer that is not installed is left out and named, with the way to install it. Released code is run from a copy of your
own: ``--cluster-contrast FOLDER`` is a checkout of alibaba/cluster-contrast-reid, ``--fast-reid FOLDER`` one of
JDAI-CV/fast-reid in which ``make`` has built ``fastreid/evaluation/rank_cylib``.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from usvi_bench.benchmarks.measure import machine, measured
from usvi_bench.benchmarks.peer_tasks import Task, labelling_task, ranking_task, search_task
from usvi_bench.core.files import write_json

RESULTS = Path(__file__).resolve().parent / "results" / "peers.json"
GALLERY, QUERIES = 15_913, 1_000
"""Size of the ranking task: a thousand queries on a gallery of Market-1501's size."""
NEEDED = {
    "cluster_contrast": "clustercontrast/utils/faiss_rerank.py",
    "fast_reid": "fastreid/evaluation/rank_cylib/rank_cy.*.so",
}
"""File that each folder of released code must have."""


def _on_one_thread(run: Callable[[Any], Any], given: Any) -> Any:
    with threadpool_limits(1):
        return run(given)


def compare(task: Task, rounds: int) -> dict[str, Any]:
    """Measure the sides of a task in turn, and compare their results with ours."""
    present = [side for side in task.sides if not side.install]
    seconds: dict[str, list[float]] = {side.name: [] for side in present}
    agreement: dict[str, float] = {}
    for number in range(rounds):
        mine = None
        for side in present:
            warm_up = partial(_on_one_thread, side.run, task.small)
            call = partial(_on_one_thread, side.run, task.given)
            result, taken = measured(call, prepare=warm_up, threads=1)
            seconds[side.name].append(taken.cpu)
            mine = result if side is present[0] else mine
            if number == 0 and result is not None:
                agreement[side.name] = task.agreement(mine, result)
    own = seconds[present[0].name]
    rows = {
        name: {
            "cpu": statistics.median(taken),
            "seconds": taken,
            "ratio": statistics.median(b / a for a, b in zip(own, taken, strict=True)),
            "agreement": agreement.get(name),
        }
        for name, taken in seconds.items()
    }
    missing = {side.name: side.install for side in task.sides if side.install}
    return {"task": task.name, "rounds": rounds, "rows": rows, "missing": missing}


def describe(result: dict[str, Any]) -> str:
    """Format the rows of a task as lines of a Markdown table, and its missing peers."""
    lines = []
    for name, row in result["rows"].items():
        equal = "" if row["agreement"] is None else f"{row['agreement']:.4f}"
        lines.append(f"| {result['task']} | {name} | {row['cpu']:.2f} | {row['ratio']:.2f} | {equal} |")
    lines += [f"{name} is left out: {install}" for name, install in result["missing"].items()]
    return "\n".join(lines)


def main() -> None:
    """Measure all tasks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=(4_000, 12_000), help="numbers of features to search")
    parser.add_argument("--labels", type=int, default=4_000, help="number of images to label")
    parser.add_argument("--dim", type=int, default=2048, help="number of features of an image")
    parser.add_argument("--gallery", type=int, default=GALLERY, help="number of images in the gallery")
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cluster-contrast", type=Path, help="checkout of alibaba/cluster-contrast-reid")
    parser.add_argument("--fast-reid", type=Path, help="checkout of JDAI-CV/fast-reid, with its Cython code built")
    parser.add_argument("--json", type=Path, default=RESULTS, help="file to write")
    options = parser.parse_args()
    for name, pattern in NEEDED.items():
        folder = getattr(options, name)
        if folder and not any(folder.glob(pattern)):
            parser.error(
                f"--{name.replace('_', '-')} {folder}: there is no {pattern}; see python -m benchmarks.peers -h"
            )
    faiss = find_spec("faiss") is not None
    makers: list[Callable[[], Task]] = [partial(search_task, size, options.dim, faiss=faiss) for size in options.sizes]
    released = options.cluster_contrast if faiss else None
    makers.append(partial(labelling_task, options.labels, options.dim, released, faiss=faiss))
    makers.append(partial(ranking_task, options.gallery, options.queries, options.fast_reid))
    print("| task | side | CPU s (median) | ratio to ours | agreement |\n|:--|:--|--:|--:|--:|")
    rows = []
    for make in makers:
        rows.append(compare(make(), options.rounds))
        print(describe(rows[-1]), flush=True)
    write_json(options.json, {"machine": machine(), "threads": 1, "rows": rows})


if __name__ == "__main__":
    main()
