"""Scores on development people: do they tell methods apart at a difficulty that real sets have?

``python -m analysis.difficulty [--output DIR] [--csv FILE]`` trains each method once on the people of each development
seed, in the layouts of SYSU-MM01 and RegDB, and prints a table with the criteria. Runs with a record below ``DIR`` are
not repeated, and a stopped run continues. Methods with an equal first stage share it. In RegDB's layout only the first
fold is trained. ``--table FILE`` prints the table of earlier figures.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from usvi_bench.analysis import training_free
from usvi_bench.core.errors import UsageError
from usvi_bench.core.record import read_record
from usvi_bench.core.revision import ROOT
from usvi_bench.core.table import markdown_table
from usvi_bench.datasets.open import open_dataset
from usvi_bench.synthetic.spec import DEVELOPMENT_SEEDS, GENERATOR_VERSIONS

PROTOCOLS = {"sysu_all": (), "regdb_v2i": ("data.folds=1",)}
"""Protocol of each layout, with its settings beside the defaults."""
METHODS = ("untrained", "cluster_contrast", "sclhm", "pgm", "mmm", "bmil", "pclhd", "dmic", "supervised")
START, BOUND, FREE = "untrained", "supervised", "HOG"
COLUMNS = ["layout", "generator_version", "method", "people", "mAP", "R1"]

BOUND_RANGE = 60.0, 95.0
"""mAP of the supervised bound."""
BELOW_BOUND = 25.0
"""Least distance of the start and of HOG to the supervised bound."""
ABOVE_START, METHODS_ABOVE = 5.0, 4
"""Least gain of a method over the start, and least number of methods with it."""

Runner = Callable[[str, str, int, Path], None]
"""Function that trains a method by a protocol on the people of a data seed, and keeps its run in a folder of runs."""


def train(protocol: str, method: str, people: int, folder: Path) -> None:
    """Train and score a method with ``run.py`` in a separate process.

    Raises:
        UsageError: the run failed; the message ends with its last line.
    """
    command = [sys.executable, str(ROOT / "run.py"), "--method", method, "--protocol", protocol, "--resume"]
    command += ["--data", f"synthetic:seed={people}", "--output", str(folder), "--no-report"]
    settings = ["engine.threads=1", *PROTOCOLS[protocol]]
    done = subprocess.run([*command, "--set", *settings], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise UsageError(f"{method} by {protocol} on people {people}: {reason[0]}")


def records(folder: Path, protocol: str, method: str) -> list[Path]:
    """Return the files of the records of a method in a folder of runs."""
    return sorted(folder.glob(f"{protocol}/{method}-seed0-*/record.json"))


def scores(record: Path) -> tuple[float, float]:
    """Return mAP and Rank-1 in percent of the headline scores of a record."""
    means = read_record(record).means()
    return 100 * means["mAP"], 100 * means["R1"]


def measure(methods: Sequence[str], people: Sequence[int], output: Path, runner: Runner) -> Iterator[dict[str, object]]:
    """Train what has no record; yield a row with :data:`COLUMNS` per layout, people and method."""
    for protocol in PROTOCOLS:
        layout = protocol.partition("_")[0]
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


def table(rows: pd.DataFrame) -> str:
    """Return the table: mean and standard deviation of mAP over people, and the gain over the start, by layout."""
    layouts, lines = list(rows["layout"].unique()), []
    for method in rows["method"].unique():
        line: list[str] = [f"`{method}`" if method != FREE else FREE]
        for layout in layouts:
            found, start = by_people(rows, layout, method), by_people(rows, layout, START)
            gains = (found - start).mean()
            line += [f"{found.mean():.1f} ± {found.std(ddof=1):.1f}", "" if method == START else f"{gains:+.1f}"]
        lines.append(line)
    heads = [head for layout in layouts for head in (f"{layout}: mAP", f"{layout}: above the start")]
    return markdown_table(["method", *heads], lines)


def criteria(rows: pd.DataFrame, layout: str) -> dict[str, bool]:
    """Return for each criterion of a layout whether the means over people meet it."""
    mean = {method: by_people(rows, layout, method).mean() for method in rows["method"].unique()}
    trained = [mean[method] - mean[START] for method in mean if method not in (START, BOUND, FREE)]
    low, high = BOUND_RANGE
    return {
        f"{BOUND} has a mAP of {low:.0f} to {high:.0f}": bool(low <= mean[BOUND] <= high),
        f"{START} is at least {BELOW_BOUND:.0f} below": bool(mean[BOUND] - mean[START] >= BELOW_BOUND),
        f"{FREE} is at least {BELOW_BOUND:.0f} below": bool(mean[BOUND] - mean[FREE] >= BELOW_BOUND),
        f"at least {METHODS_ABOVE} methods are {ABOVE_START:.0f} above {START}": (
            sum(gain >= ABOVE_START for gain in trained) >= METHODS_ABOVE
        ),
    }


def by_people(rows: pd.DataFrame, layout: str, method: str) -> pd.Series:
    """Return the mAP of a method by data seed."""
    return rows[(rows["layout"] == layout) & (rows["method"] == method)].set_index("people")["mAP"]


def report(rows: pd.DataFrame) -> str:
    """Return the table and a line per criterion."""
    met = [
        f"* {layout}: {text}: {'yes' if holds else 'no'}."
        for layout in rows["layout"].unique()
        for text, holds in criteria(rows, layout).items()
    ]
    return table(rows) + "\n\n" + "\n".join(met)


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
                rows.to_csv(options.csv, index=False, float_format="%.2f", lineterminator="\n")
    except UsageError as error:
        raise SystemExit(str(error)) from error
    print(report(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
