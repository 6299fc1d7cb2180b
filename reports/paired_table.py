"""Table of paired differences, in comparisons of runs, on the command line and in the site."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from usvi_bench.core.table import Table, Value, value_rows
from usvi_bench.protocols.sidecar import person_numbers
from usvi_bench.reports.groups import Found, Group, paired


def paired_table(found: Sequence[Found], name: str) -> Table:
    """Build the table of differences with their intervals, in percentage points; ``found`` is not empty."""
    rows: list[list[Value]] = [
        [
            f"{better.label} - {worse.label}",
            metric,
            unit,
            *(100 * value for value in (difference.difference, difference.low, difference.high)),
            "yes" if difference.clear else "no",
        ]
        for worse, better, metric, unit, difference in found
    ]
    columns = ["difference", "metric", "resampled", "points", "low", "high", "excludes 0"]
    notes = [paired_note(found)]
    return Table("Paired differences", columns, value_rows(rows), words=3, notes=notes, name=f"paired-{name}")


def counts(found: Sequence[Found]) -> tuple[int, int]:
    """Return the numbers of valid queries and of people over all folds."""
    queries = (found[0][0].runs[0].queries or {}).values()
    valid = sum(int(np.any(scores.first_match_rank >= 0, axis=0).sum()) for scores in queries)
    return valid, sum(int(person_numbers(scores).max()) + 1 for scores in queries)


def paired_note(found: Sequence[Found]) -> str:
    """Describe the intervals."""
    queries, people = counts(found)
    units = {unit for *_, unit, _ in found}
    drawn = {
        "query": f"{queries} queries",
        "person": f"{people} people with all their queries" + (" (more conservative)" if len(units) > 1 else ""),
    }
    words = ", or of ".join(text for unit, text in drawn.items() if unit in units)
    note = (
        f"Percentage points; 95 % percentile interval of a paired bootstrap with 10,000 resamples of {words}. Seeds "
        "are averaged: the interval covers the variation over queries, not over seeds."
    )
    runs = [run for group in (found[0][0], found[0][1]) for run in group.runs]
    if any(worse.seeds != better.seeds for worse, better, *_ in found):
        groups = {group.label: group.seeds for worse, better, *_ in found for group in (worse, better)}
        named = "; ".join(f"{label}: {', '.join(map(str, seeds))}" for label, seeds in groups.items())
        note += f" The seeds differ ({named}), so differences also contain those of the seeds."
    if len(runs[0].queries or {}) > 1:
        note += " Folds share people but are resampled independently, so intervals over several folds are too narrow."
    return note


def paired_lines(groups: Sequence[Group]) -> list[str]:
    """Format all differences of groups that can be compared, one line each, and what the intervals mean."""
    found = list(paired(groups))
    lines = []
    for worse, better, metric, unit, gap in found:
        span = f"{100 * gap.difference:+.2f} points ({100 * gap.low:+.2f} to {100 * gap.high:+.2f})"
        drawn = "queries" if unit == "query" else "people"
        clear = "excludes 0" if gap.clear else "includes 0"
        lines.append(f"{metric} of {better.label} - {worse.label}: {span}, resampled {drawn}; {clear}")
    return [*lines, paired_note(found)]
