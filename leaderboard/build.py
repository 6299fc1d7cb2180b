"""``LEADERBOARD.md`` from the committed records."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from usvi_bench.core.errors import UsageError
from usvi_bench.core.metrics import METRICS
from usvi_bench.core.record import Record, read_record
from usvi_bench.leaderboard.cost import cost_table
from usvi_bench.leaderboard.knobs import separate_sweeps, sweep_table
from usvi_bench.leaderboard.markdown import MISSING, page, spread, table
from usvi_bench.leaderboard.order import rank_agreement
from usvi_bench.leaderboard.published import Published, find_published, footnote
from usvi_bench.leaderboard.significance import BOLD_RULE, leaders
from usvi_bench.leaderboard.table import IDENTITY_MARK, Row, Table, tables

FOLDER = Path(__file__).resolve().parent
REPORTS = "reports"
"""Folder beside ``records`` that keeps the report of a record under the record's own path."""
BESIDE = ("R1", "mAP")
"""Metrics whose published figures stand beside ours."""

HEAD = """# Leaderboard

Made by `python -m leaderboard` from the files in `records/`; do not edit. [PUBLISHED.md](PUBLISHED.md) shows what
others have published."""

EMPTY = """There is no record yet. To make the first one:

```
python run.py --method cluster_contrast --protocol sysu_all
cp <run directory, named at the end of the run>/record.json leaderboard/records/sysu_all/cluster_contrast-seed0.json
python -m leaderboard
```"""

RULES = f"""## How to read the tables

* Percent, mean ± sample standard deviation over n seeds; a run's figure is the mean over its folds and trials first.
  No ± with one seed. Scores are those of the weights at the end of training; no epoch is chosen by test score.
* **Bold**: {BOLD_RULE}
* {IDENTITY_MARK}: trained with true identities; an upper bound, not a competitor.
* chance: expected score of a random ranking. minutes: all phases of a run, mean over seeds.
  memory: highest peak, of the GPU where one was used, else of the process.
* runs: a link for each seed, to its report where there is one, else to its record.
* †: at least one of the runs was made from a tree with uncommitted changes."""
PUBLISHED_RULE = """* published: the figure of the method's paper, or what stands for it, with the level of evidence
  ([PUBLISHED.md](PUBLISHED.md) says how it is chosen); difference: our mean minus it, in points. It was got with other
  code, batches and schedules than ours."""

REAL, SYNTHETIC = "## Real data", "## Synthetic people"
NO_REAL = "No record yet: nothing here has been measured on a real data set."
SYNTHETIC_NOTE = "Generated images; these figures say nothing about real data sets and are not comparable with them."


def load_records(folder: Path) -> dict[str, Record]:
    """All records below a folder by their path relative to it, sorted.

    Raises:
        UsageError: a file is not a valid record, or is that of an ablation's row.
    """
    records = {path.relative_to(folder).as_posix(): read_record(path) for path in sorted(folder.rglob("*.json"))}
    for name, record in records.items():
        if made_for := record.provenance.get("ablation"):
            raise UsageError(f"{name}: a row of an ablation ({made_for}); remove it, and run the method on its own")
    return records


def find_reports(folder: Path, records: Collection[str]) -> frozenset[str]:
    """Those of the records that have a ``report.md`` in their folder below ``folder``."""
    return frozenset(name for name in records if (folder / report_path(name)).exists())


def report_path(name: str) -> str:
    """``sysu_all/adca-seed0.json`` has its report in ``sysu_all/adca-seed0/report.md``."""
    return name.removesuffix(".json") + "/report.md"


def build(
    records: Mapping[str, Record], published: Sequence[Published] = (), reports: Collection[str] = frozenset()
) -> str:
    """The page; equal records give equal bytes, whatever their order.

    Args:
        records: by file name.
        published: figures to show beside ours, on real data; on synthetic people only the order they make.
        reports: names of the records that have a report.

    Raises:
        UsageError: two records hold the same seed of the same configuration.
    """
    if not records:
        return page(HEAD, EMPTY)
    sections: dict[bool, list[str]] = {False: [], True: []}
    whole, sweeps = separate_sweeps(tables(records))
    for found in whole:
        beside = {} if found.key.synthetic else _counterparts(found, published)
        sections[bool(found.key.synthetic)] += _table(found, beside, reports)
        if found.key.synthetic:
            sections[True] += rank_agreement(found, published)
            mine = [sweep for sweep in sweeps if sweep.base is found]
            sections[True] += [block for sweep in mine for block in sweep_table(sweep, partial(_runs, reports=reports))]
    return page(
        HEAD,
        REAL,
        *(sections[False] or [NO_REAL]),
        *([SYNTHETIC, SYNTHETIC_NOTE, *sections[True]] if sections[True] else []),
        *_incomplete(records),
        *cost_table(records),
        "\n".join([RULES, PUBLISHED_RULE] if sections[False] else [RULES]),
        *_sources(records),
    )


def _counterparts(found: Table, published: Sequence[Published]) -> dict[str, Published]:
    pairs = {
        row.label: find_published(published, row.method, found.key.protocol, found.key.shots) for row in found.rows
    }
    return {label: entry for label, entry in pairs.items() if entry is not None}


def _table(found: Table, beside: Mapping[str, Published], reports: Collection[str]) -> list[str]:
    lead = leaders(found.rows)
    header = ["Method", "seeds n", *METRICS, "minutes", "peak memory (MiB)"]
    if beside:
        header += [f"{what} {metric}" for metric in BESIDE for what in ("published", "difference")] + ["evidence"]
    header.append("runs")
    notes = {label: text for label, entry in beside.items() if (text := footnote(entry))}
    lines = []
    for row in found.rows:
        extra = _published(row, beside.get(row.label), [*notes].index(row.label) + 1 if row.label in notes else None)
        lines.append([*_cells(row, lead), *(extra if beside else []), _runs(row, reports)])
    numbered = [f"[{i}] {label}: elsewhere {text}." for i, (label, text) in enumerate(notes.items(), 1)]
    title = f"### `{found.key.protocol}`, {found.title}"
    return [title, found.data, table(header, lines), *numbered, *_models(found.rows)]


def _cells(row: Row, lead: Mapping[str, str]) -> list[str]:
    metrics = [spread(row.values[metric]) for metric in METRICS]
    metrics = [f"**{text}**" if lead.get(m) == row.label else text for m, text in zip(METRICS, metrics, strict=True)]
    return [
        row.label + (" †" if row.dirty else ""),
        str(row.seeds) if row.seeds else MISSING,
        *metrics,
        MISSING if row.minutes is None else f"{row.minutes:.1f}",
        MISSING if row.memory is None else f"{row.memory:.0f}",
    ]


def _published(row: Row, entry: Published | None, note: int | None) -> list[str]:
    """Published figure and our difference for each metric, then the evidence."""
    if entry is None:
        return [MISSING] * (2 * len(BESIDE) + 1)
    cells = []
    for metric in BESIDE:
        value = entry.shown.value(metric)
        gap = MISSING if value is None else f"{100 * row.values[metric].mean() - value:+.1f}"
        cells += [entry.shown.metrics.get(metric, MISSING), gap]
    return [*cells, entry.shown.evidence + (f" [{note}]" if note else "")]


def _runs(row: Row, reports: Collection[str]) -> str:
    links = [
        f"[{seed}]({f'{REPORTS}/{report_path(name)}' if name in reports else f'records/{name}'})"
        for seed, name in zip(row.values.index, row.records, strict=False)
    ]
    return " ".join(links) or MISSING


def _models(rows: Sequence[Row]) -> list[str]:
    """Student and teacher side by side, so that weight averaging is not credited to a method's loss."""
    several = [row for row in rows if len(row.models) > 1]
    if not several:
        return []
    models = list(dict.fromkeys(model for row in several for model in row.models))
    header = ["Method", "seeds n", "headline", *(f"{model} {metric}" for model in models for metric in BESIDE)]
    lines = [
        [row.label, str(row.seeds), next(iter(row.models))]
        + [spread(row.models[m][metric] if m in row.models else None) for m in models for metric in BESIDE]
        for row in several
    ]
    return ["Student and teacher of the same runs:", table(header, lines)]


def lacking(record: Record) -> list[str]:
    """What an incomplete run lacks, fold by fold; empty for a complete one."""
    trials = record.result.trials
    return [f"fold {fold} lacks {n} of {trials} trials" for fold, n in record.missing_trials.items()]


def _incomplete(records: Mapping[str, Record]) -> list[str]:
    lines = [
        f"* {_link(name)}: {r.result.method}, `{r.result.protocol}`, seed {r.result.seed}: {'; '.join(lacking(r))}"
        for name, r in sorted(records.items())
        if lacking(r)
    ]
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
