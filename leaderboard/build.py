"""``LEADERBOARD.md`` from the committed records."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from leaderboard.markdown import MISSING, page, percent, table
from leaderboard.record import METRICS, Record, is_complete, missing_trials, read_record
from leaderboard.table import (
    IDENTITY_MARK,
    P_VALUE,
    SEEDS_FOR_TEST,
    Row,
    TableKey,
    gallery_words,
    leaders,
    table_key,
    table_rows,
)

FOLDER = Path(__file__).resolve().parent

HEAD = """# Leaderboard

Made by `python -m leaderboard` from the files in `records/`; do not edit."""

EMPTY = """There is no record yet. To make the first one:

```
python run.py --method cluster_contrast --protocol sysu_all
cp <run directory, named at the end of the run>/record.json leaderboard/records/sysu_all/cluster_contrast-seed0.json
python -m leaderboard
```"""

RULES = f"""## How to read the tables

* Percent, mean ± sample standard deviation over n seeds; a run's figure is the mean over its folds and trials first.
  No ± with one seed. Scores are those of the weights at the end of training; no epoch is chosen by test score.
* **Bold**: the highest figure of its column, where it and the second highest have at least {SEEDS_FOR_TEST} seeds each
  and a two-sided Welch t-test over seeds gives p < {P_VALUE}. Chance, `untrained` and methods that use identities
  stand outside this comparison.
* {IDENTITY_MARK}: trained with true identities; an upper bound, not a competitor.
* chance: expected score of a random ranking. minutes: all phases of a run, mean over seeds.
  memory: highest peak, of the GPU where one was used, else of the process.
* †: at least one of the runs was made from a tree with uncommitted changes."""

REAL, SYNTHETIC = "## Real data", "## Synthetic people"
NO_REAL = "No record yet: nothing here has been measured on a real data set."
SYNTHETIC_NOTE = "Generated images; these figures say nothing about real data sets and are not comparable with them."


def load_records(folder: Path) -> dict[str, Record]:
    """All records below a folder by their path relative to it, sorted.

    Raises:
        UsageError: a file is not a valid record.
    """
    return {path.relative_to(folder).as_posix(): read_record(path) for path in sorted(folder.rglob("*.json"))}


def build(records: Mapping[str, Record]) -> str:
    """The page; equal records give equal bytes, whatever their order.

    Raises:
        UsageError: two records hold the same seed of the same configuration.
    """
    if not records:
        return page(HEAD, EMPTY)
    complete = sorted(((table_key(r), name, r) for name, r in records.items() if is_complete(r)), key=lambda x: x[:2])
    sections: dict[bool, list[str]] = {False: [], True: []}
    for key, group in itertools.groupby(complete, key=lambda entry: entry[0]):
        sections[bool(key.synthetic)] += _table(key, {name: record for _, name, record in group})
    return page(
        HEAD,
        REAL,
        *(sections[False] or [NO_REAL]),
        *([SYNTHETIC, SYNTHETIC_NOTE, *sections[True]] if sections[True] else []),
        *_incomplete(records),
        RULES,
        *_sources(records),
    )


def _table(key: TableKey, records: Mapping[str, Record]) -> list[str]:
    rows = table_rows(records)
    lead = leaders(rows)
    header = ["Method", "seeds n", *METRICS, "minutes", "peak memory (MiB)"]
    description = next(iter(records.values())).result.dataset["description"]
    title = f"### `{key.protocol}`, {gallery_words(key.shots, key.gallery)}, {key.setting} setting"
    data = f"Data: {description} (`{key.dataset}`, fingerprint `{key.fingerprint[:22]}`)."
    return [title, data, table(header, [_cells(row, lead) for row in rows]), *_models(rows)]


def _cells(row: Row, lead: Mapping[str, str]) -> list[str]:
    metrics = [_spread(row.values[metric]) for metric in METRICS]
    metrics = [f"**{text}**" if lead.get(m) == row.label else text for m, text in zip(METRICS, metrics, strict=True)]
    return [
        row.label + (" †" if row.dirty else ""),
        str(row.seeds) if row.seeds else MISSING,
        *metrics,
        MISSING if row.minutes is None else f"{row.minutes:.1f}",
        MISSING if row.memory is None else f"{row.memory:.0f}",
    ]


def _spread(values: pd.Series[float] | None) -> str:
    if values is None or values.isna().all():
        return MISSING
    return percent(values.mean(), values.std() if len(values) > 1 else None)


def _models(rows: Sequence[Row]) -> list[str]:
    """Student and teacher side by side, so that weight averaging is not credited to a method's loss."""
    several = [row for row in rows if len(row.models) > 1]
    if not several:
        return []
    models = list(dict.fromkeys(model for row in several for model in row.models))
    header = ["Method", "seeds n", "headline", *(f"{model} {metric}" for model in models for metric in ("R1", "mAP"))]
    lines = [
        [row.label, str(row.seeds), next(iter(row.models))]
        + [_spread(row.models[m][metric] if m in row.models else None) for m in models for metric in ("R1", "mAP")]
        for row in several
    ]
    return ["Student and teacher of the same runs:", table(header, lines)]


def _incomplete(records: Mapping[str, Record]) -> list[str]:
    lines = []
    for name, record in sorted(records.items()):
        result = record.result
        lacking = [f"fold {fold} lacks {n} of {result.trials} trials" for fold, n in missing_trials(record).items()]
        if lacking:
            lines.append(
                f"* {_link(name)}: {result.method}, `{result.protocol}`, seed {result.seed}: {'; '.join(lacking)}"
            )
    return ["## Incomplete runs, not ranked", "\n".join(lines)] if lines else []


def _sources(records: Mapping[str, Record]) -> list[str]:
    lines = []
    for name, record in sorted(records.items()):
        made = record.provenance
        commit = (made["commit"] or "unknown")[:10] + (" †" if made["dirty"] else "")
        what = [record.result.method, f"`{record.result.protocol}`", str(record.result.seed)]
        lines.append([_link(name), *what, commit, made["gpu"] or made["cpu"]])
    return ["## Records", table(["Record", "Method", "Protocol", "Seed", "Commit", "Made on"], lines, words=6)]


def _link(name: str) -> str:
    return f"[{name}](records/{name})"
