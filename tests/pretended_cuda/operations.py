"""Waits and kernels of a step: ``python -m tests.pretended_cuda.operations [--write] [METHOD ...]``.

``operations.json`` is the committed bound of each stage: kernels outside the encoder in a step of the last epoch, with
batches of 4 x 16 visible and 4 x 16 infrared images. ``--write`` replaces the bounds of the methods by measured ones.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from usvi_bench.core.host import cache_folder
from usvi_bench.synthetic import ensure, parse

TABLE = Path(__file__).with_name("operations.json")
TINY = {"data.height": 32, "data.width": 16, "train.iterations": 3, "engine.threads": 1}
COUNTED = {**TINY, "train.visible_clusters": 4, "train.infrared_clusters": 4, "train.instances": 16}


WIDE = {"hil": {"method.instance_momentum": 0.9 / (0.9 + 0.1 * math.sqrt(2048))}}
"""Settings of methods whose kernels depend on the width of features: as with the 2,048 features of ResNet-50. With the
narrower features of the small encoder, a step of ``hil`` takes 287 kernels."""


def carry_out(jobs: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Carry out jobs of ``run.py`` in a process of its own; return their results."""
    given, results = folder / "jobs.json", folder / "results.json"
    given.write_text(json.dumps(jobs))
    words = [sys.executable, "-m", "tests.pretended_cuda.run", str(given), str(results)]
    subprocess.run(words, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=TABLE.parents[2])
    done: list[dict[str, Any]] = json.loads(results.read_text())
    return done


def counting_job(method: str, data: Path, folder: Path) -> dict[str, Any]:
    """Return the job that counts the operations of a method."""
    shared = {"output": str(folder / f"{method}-counted"), "data": str(data), "clusters": 12}
    return {"method": method, "settings": {**COUNTED, **WIDE.get(method, {})}, **shared}


def kernels(result: dict[str, Any]) -> dict[str, float]:
    """Return the number of kernels outside the encoder in a step of the last epoch of each stage."""
    epochs: dict[str, str] = {}
    for place in result["steps"]:
        if not place.endswith("/first"):
            epochs[place.partition("/")[0]] = place
    return {stage: result["launches"].get(place, 0) / result["steps"][place] for stage, place in epochs.items()}


def waits(result: dict[str, Any]) -> dict[str, float]:
    """Return the waits of a step, by stage, epoch and line; first steps of epochs do not count."""
    found = [(place.removesuffix(" encoder"), line, count) for place, line, count in result["waits"]]
    return {
        f"{place} {line}": count / result["steps"][place]
        for place, line, count in found
        if place in result["steps"] and not place.endswith("/first")
    }


def main(words: list[str]) -> None:
    """Print the waits and kernels of methods, and write the bounds if asked."""
    table: dict[str, dict[str, int]] = json.loads(TABLE.read_text())
    methods = [word for word in words if not word.startswith("--")] or sorted(table)
    with tempfile.TemporaryDirectory() as folder:
        data = ensure("sysu", parse("synthetic:size=tiny"), cache_folder())
        results = carry_out([counting_job(method, data, Path(folder)) for method in methods], Path(folder))
    for method, result in zip(methods, results, strict=True):
        print(f"{method}: {kernels(result)}", *map(str, waits(result).items()), result["error"], sep="\n  ")
        table[method] = {stage: math.ceil(number) for stage, number in kernels(result).items()}
    if "--write" in words:
        TABLE.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
