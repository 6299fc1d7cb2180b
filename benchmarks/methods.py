"""Cost of a step of each method, compared with dual cluster contrast, on which all methods are based.

``python -m benchmarks.methods [--methods pgm hil] [--json FILE] [--write]`` trains every method for a few steps on the
small synthetic people, each in a separate process, and reads the journal: medians of step time and clustering time over
the epochs of the last stage without its first one, and the peak memory of the process. ``--write`` writes the table
into ``docs/methods.md``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from usvi_bench.benchmarks.measure import machine
from usvi_bench.core.files import write_json, write_text
from usvi_bench.core.markdown import fill_block
from usvi_bench.core.registry import METHODS
from usvi_bench.core.revision import ROOT
from usvi_bench.core.table import markdown_table

PAGE = ROOT / "docs" / "methods.md"
BEGIN, END = "<!-- cost: python -m benchmarks.methods --write -->", "<!-- end of cost -->"
PARENT = "cluster_contrast"
EPOCHS = 4
"""Epochs of every stage."""
HEADER = ["method", "ms a step", "ratio", "clustering, s an epoch", "peak memory, MiB", "ratio"]


def trained_methods() -> list[str]:
    """List the methods that are trained, the parent first."""
    names = [name for name in METHODS.names() if METHODS.get(name).stages(METHODS.get(name).Config())]
    return sorted(names, key=lambda name: (name != PARENT, name))


def measure(name: str, output: Path, steps: int) -> dict[str, float]:
    """Measure a method's last stage: milliseconds per step, seconds of clustering, peak memory in MiB."""
    command = [sys.executable, str(ROOT / "run.py"), "--method", name, "--protocol", "sysu_all", "--data", "synthetic"]
    settings = ["--set", f"train.epochs={EPOCHS}", f"train.iterations={steps}", "--output", str(output)]
    done = subprocess.run([*command, *settings, "--overwrite", "--no-report"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{name} failed:\n{done.stderr}")
    (journal,) = (output / "sysu_all").glob(f"{name}-seed0-*/journal.jsonl")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    last = [line for line in lines if line["kind"] == "epoch"][1 - EPOCHS :]
    return {
        "step_ms": median(1000 * line["seconds"]["train"] / line["steps"] for line in last),
        "cluster_s": median(line["seconds"]["cluster"] for line in last),
        "memory_mib": last[-1]["peak_memory_mib"],
    }


def cost_cells(figures: dict[str, dict[str, float]]) -> list[list[str]]:
    """Return the cells of the table, a row per method."""
    parent = figures[PARENT]
    return [
        [
            f"`{name}`",
            f"{f['step_ms']:.0f}",
            f"{f['step_ms'] / parent['step_ms']:.2f}",
            f"{f['cluster_s']:.2f}",
            f"{f['memory_mib']:.0f}",
            f"{f['memory_mib'] / parent['memory_mib']:.2f}",
        ]
        for name, f in figures.items()
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the methods, print and store the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.methods", description=__doc__)
    parser.add_argument(
        "--methods", nargs="+", choices=trained_methods(), help="methods besides the parent; default: all"
    )
    parser.add_argument("--steps", type=int, default=20, help="steps per epoch")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--write", action="store_true", help="write the table into docs/methods.md")
    options = parser.parse_args(arguments)
    names = dict.fromkeys([PARENT, *(options.methods or trained_methods())])
    with tempfile.TemporaryDirectory() as folder:
        figures = {name: measure(name, Path(folder), options.steps) for name in names}
    described: dict[str, Any] = machine()
    where = f"{described['cpu']}, {described['cores']} cores, commit {str(described['commit'])[:7]}"
    note = f"Small synthetic people, medians of {EPOCHS - 1} epochs of {options.steps} steps; {where}."
    text = f"{markdown_table(HEADER, cost_cells(figures))}\n\n{note}"
    print(text)
    if options.json:
        write_json(options.json, {"machine": described, "steps": options.steps, "methods": figures})
    if options.write:
        write_text(PAGE, fill_block(PAGE.read_text(), text, BEGIN, END))
    return 0


if __name__ == "__main__":
    sys.exit(main())
