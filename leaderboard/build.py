"""``LEADERBOARD.md`` from the committed records."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from usvi_bench.core.errors import UsageError
from usvi_bench.core.markdown import bullets, page
from usvi_bench.core.record import Record, read_record
from usvi_bench.core.registry import METHODS
from usvi_bench.core.table import Address, Link, Table, Value, to_markdown, value_rows
from usvi_bench.leaderboard.board import BoardSection, board_sections, lacking
from usvi_bench.leaderboard.cost import cost_table
from usvi_bench.leaderboard.published import Published
from usvi_bench.leaderboard.score_table import IDENTITY_MARK, score_tables
from usvi_bench.leaderboard.significance import BOLD_RULE

FOLDER = Path(__file__).resolve().parent
REPORTS = "reports"
"""Folder beside ``records`` that keeps the report of a record under the record's own path."""

HEAD = """# Leaderboard

Made by `python -m leaderboard` from the files in `records/`; do not edit. [PUBLISHED.md](PUBLISHED.md) shows what
others have published."""

EMPTY = """There is no record yet. To make the first one:

```
python run.py --method cluster_contrast --protocol sysu_all
cp <run directory, named at the end of the run>/record.json leaderboard/records/sysu_all/cluster_contrast-seed0.json
python -m leaderboard
```"""

RULES = f"""\
* Percent, mean ± sample standard deviation over n seeds; a run's figure is the mean over its folds and trials first.
  No ± with one seed. Scores are those of the weights at the end of training; no epoch is chosen by test score.
* **Bold**: {BOLD_RULE}
* {IDENTITY_MARK}: trained with true identities; an upper bound, not a competitor.
* chance: expected score of a random ranking. minutes: all phases of a run, mean over seeds.
  memory: highest peak, of the GPU where one was used, else of the process."""
RUNS_RULE = "* runs: a link for each seed, to its report where there is one, else to its record."
PLUGIN_RULE = "* plug-in: made with parts from outside this suite, whose source is named by its hash."
DIRTY_RULE = "* †: at least one of the runs was made from a tree with uncommitted changes."
PUBLISHED_RULE = """* published: the figure of the method's paper, or what stands for it, with the level of evidence
  ([{0}]({0}) says how it is chosen); difference: our mean minus it, in points. It was got with other
  code, batches and schedules than ours."""
"""To be formatted with the name of the page."""

REAL, SYNTHETIC = "## Real data", "## Synthetic people"
NO_REAL = "No record yet: nothing here has been measured on a real data set."
SYNTHETIC_NOTE = "Generated images; these figures say nothing about real data sets and are not comparable with them."


def load_records(folder: Path) -> dict[str, Record]:
    """All records below a folder by their path relative to it, sorted.

    Raises:
        UsageError: a file is not a valid record, is that of an ablation's row, or is of an unknown method and names no
            plug-in.
    """
    records = {path.relative_to(folder).as_posix(): read_record(path) for path in sorted(folder.rglob("*.json"))}
    for name, record in records.items():
        if record.expected_hash() != record.result.config_hash:
            raise UsageError(f"{name}: result.config_hash is not that of result.config; restore the file")
        if not METHODS.owns(record.result.method) and not record.plugins:
            raise UsageError(
                f"{name}: the method '{record.result.method}' is none of the suite's, and the record names no plug-in "
                "that registers it; remove it, or run the method again with --import"
            )
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
    """Make the page; equal records give equal bytes, whatever their order.

    Args:
        records: by file name.
        published: figures to show beside ours, on real data; on synthetic people only the order they make.
        reports: names of the records that have a report.

    Raises:
        UsageError: two records hold the same seed of the same configuration.
    """
    if not records:
        return page(HEAD, EMPTY)

    def address(link: Link) -> str:
        if link.kind != "run":
            return ""
        return f"{REPORTS}/{report_path(link.name)}" if link.name in reports else f"records/{link.name}"

    real: list[str] = []
    synthetic: list[str] = []
    for section in board_sections(score_tables(records), published):
        (synthetic if section.scores.key.synthetic else real).extend(_section_blocks(section, address))
    cost = cost_table(records)
    rules = [RULES, RUNS_RULE, DIRTY_RULE]
    rules += [PLUGIN_RULE] if any(record.plugins for record in records.values()) else []
    rules += [PUBLISHED_RULE.format("PUBLISHED.md")] if real else []
    return page(
        HEAD,
        REAL,
        *(real or [NO_REAL]),
        *([SYNTHETIC, SYNTHETIC_NOTE, *synthetic] if synthetic else []),
        *_incomplete(records),
        *(f"## {cost.title}", to_markdown(cost), *cost.notes),
        "## How to read the tables",
        "\n".join(rules),
        *("## Records", to_markdown(_records_table(records))),
    )


def _section_blocks(section: BoardSection, address: Address) -> Iterator[str]:
    yield f"### `{section.scores.key.protocol}`, {section.scores.title}"
    yield section.scores.data
    yield to_markdown(section.table, address)
    yield from (f"[{i}] {text}" for i, text in enumerate(section.table.footnotes, 1))
    for table in section.asides:
        yield f"{table.title}:"
        yield to_markdown(table, address)
        yield from table.notes


def _incomplete(records: Mapping[str, Record]) -> list[str]:
    lines = [
        f"[{name}](records/{name}): {r.result.method}, `{r.result.protocol}`, seed {r.result.seed}: {'; '.join(lacks)}"
        for name, r in sorted(records.items())
        if (lacks := lacking(r))
    ]
    return ["## Incomplete runs, not ranked", bullets(lines)] if lines else []


def _records_table(records: Mapping[str, Record]) -> Table:
    rows: list[Sequence[Value]] = []
    for name, record in sorted(records.items()):
        made, result = record.provenance, record.result
        commit = (made["commit"] or "unknown")[:10] + (" †" if made["dirty"] else "")
        link = f"[{name}](records/{name})"
        rows.append([link, result.method, f"`{result.protocol}`", result.seed, commit, made["gpu"] or made["cpu"]])
    columns = ["Record", "Method", "Protocol", "Seed", "Commit", "Made on"]
    return Table("Records", columns, value_rows(rows), words=len(columns))
