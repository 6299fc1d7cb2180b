"""Scores on development people: whether they distinguish methods at a difficulty that real sets have.

``python -m analysis.difficulty [--output DIR] [--csv FILE]`` trains each method once on the people of each development
seed, in the layouts of SYSU-MM01 and RegDB, and prints a table with the criteria. Runs with a record below ``DIR`` are
not repeated, and a stopped run continues. Methods with an equal first stage share it. In RegDB's layout only the first
fold is trained. ``--table FILE`` prints the table of earlier figures.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from usvi_bench.analysis import training_free
from usvi_bench.analysis.child_run import train_in_child
from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import write_text
from usvi_bench.core.record import read_record
from usvi_bench.core.table import markdown_table
from usvi_bench.datasets.open import open_dataset
from usvi_bench.reports.pages.difficulty_table import (
    BOUND,
    CRITERIA_HEADER,
    FREE,
    HEADER,
    PROTOCOLS,
    START,
    criteria_lines,
    score_lines,
)
from usvi_bench.synthetic.spec import DEVELOPMENT_SEEDS, GENERATOR_VERSIONS

SETTINGS = {"sysu": (), "regdb": ("data.folds=1",)}
"""Settings of each layout beside the defaults."""
METHODS = (START, "cluster_contrast", "sclhm", "pgm", "mmm", "bmil", "pclhd", "dmic", BOUND)
COLUMNS = ["layout", "generator_version", "method", "people", "mAP", "R1"]

Runner = Callable[[str, str, int, Path], None]
"""Function that trains a method by a protocol on the people of a data seed, and keeps its run in a folder of runs."""


def train(protocol: str, method: str, people: int, folder: Path) -> None:
    """Train and score a method with ``run.py`` in a separate process.

    Raises:
        UsageError: the run failed; the message ends with its last line.
    """
    options = ["--method", method, "--protocol", protocol, "--data", f"synthetic:seed={people}"]
    settings = ["engine.threads=1", *SETTINGS[protocol.partition("_")[0]]]
    train_in_child(f"{method} by {protocol} on people {people}", [*options, "--output", str(folder)], settings)


def records(folder: Path, protocol: str, method: str) -> list[Path]:
    """Return the files of the records of a method in a folder of runs."""
    return sorted(folder.glob(f"{protocol}/{method}-seed0-*/record.json"))


def scores(record: Path) -> tuple[float, float]:
    """Return mAP and Rank-1 in percent of the headline scores of a record."""
    means = read_record(record).means()
    return 100 * means["mAP"], 100 * means["R1"]


def measure(methods: Sequence[str], people: Sequence[int], output: Path, runner: Runner) -> Iterator[dict[str, object]]:
    """Train what has no record; yield a row with :data:`COLUMNS` per layout, people and method."""
    for layout, protocol in PROTOCOLS.items():
        for seed in people:
            base = {"layout": layout, "generator_version": GENERATOR_VERSIONS[layout], "people": seed}
            dataset, _ = open_dataset(layout, f"synthetic:seed={seed}", progress=lambda _: None)
            yield {**base, "method": FREE, "mAP": training_free.measure(layout, dataset, None)[FREE][0]}
            for method in methods:
                folder = output / f"{layout}-v{GENERATOR_VERSIONS[layout]}-{seed}"
                if not (found := records(folder, protocol, method)):
                    runner(protocol, method, seed, folder)
                    found = records(folder, protocol, method)
                precision, rank1 = scores(found[0])
                yield {**base, "method": method, "mAP": precision, "R1": rank1}


def report(rows: pd.DataFrame) -> str:
    """Return the table of scores and that of the criteria."""
    tables = markdown_table(HEADER, [*score_lines(rows)]), markdown_table(CRITERIA_HEADER, [*criteria_lines(rows)])
    return "\n\n".join(tables)


def main(arguments: Sequence[str] | None = None, runner: Runner = train) -> int:
    """Train the missing runs and print the report; ``runner`` trains one of them."""
    parser = argparse.ArgumentParser(prog="python -m analysis.difficulty", description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=Path("runs/difficulty"), metavar="DIR", help="folder of the runs"
    )
    parser.add_argument("--methods", nargs="+", default=METHODS, metavar="M", help="methods beside start and bound")
    parser.add_argument("--people", nargs="+", type=int, default=DEVELOPMENT_SEEDS, metavar="SEED", help="data seeds")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="file to write the figures to")
    parser.add_argument("--table", type=Path, metavar="FILE", help="train nothing; report the figures of a file")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.people) - set(DEVELOPMENT_SEEDS))
    if unknown:
        parser.error(
            f"--people {unknown[0]}: development people have the seeds {', '.join(map(str, DEVELOPMENT_SEEDS))}"
        )
    try:
        if options.table:
            rows = pd.read_csv(options.table)
        else:
            methods = list(dict.fromkeys([START, *options.methods, BOUND]))
            rows = pd.DataFrame(measure(methods, options.people, options.output, runner), columns=COLUMNS)
            if options.csv:
                write_text(options.csv, rows.to_csv(index=False, float_format="%.2f", lineterminator="\n"))
    except UsageError as error:
        raise SystemExit(str(error)) from error
    print(report(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
