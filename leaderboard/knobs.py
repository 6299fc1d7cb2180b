"""Tables that differ from a larger one in a single knob of the synthetic people, as one table a knob."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leaderboard.markdown import MISSING, percent, table
from leaderboard.table import Row, Table

NO_KNOBS = ("size", "seed", "height", "device")
"""Entries of a description of synthetic people that are no cause of difficulty."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """One knob of the people of ``base`` turned; ``levels`` holds the base too, in ascending order."""

    knob: str
    base: Table
    levels: Mapping[float, Table]


def split(found: Sequence[Table]) -> tuple[list[Table], list[Sweep]]:
    """Tables that stand for themselves, in the order given, and the sweeps around them.

    Of tables that differ in one knob only, the base is the one from which most others can be reached by turning one,
    of several such the one with the most runs, then the first.
    """
    near = [sum(_turned(one, other) is not None for other in found) for one in found]
    ranked = sorted(range(len(found)), key=lambda i: (-near[i], -sum(row.seeds for row in found[i].rows), i))
    bases: list[Table] = []
    swept: dict[tuple[int, str], dict[float, Table]] = {}
    for candidate in (found[i] for i in ranked):
        for i, base in enumerate(bases):
            if (knob := _turned(base, candidate)) is not None:
                levels = swept.setdefault((i, knob), {_spec(base)[knob]: base})
                levels[_spec(candidate)[knob]] = candidate
                break
        else:
            bases.append(candidate)
    sweeps = [Sweep(knob, bases[i], dict(sorted(levels.items()))) for (i, knob), levels in sorted(swept.items())]
    return [one for one in found if any(one is base for base in bases)], sweeps


def sweep_table(sweep: Sweep) -> list[str]:
    """Blocks of Markdown: mean mAP of every method at every level, over the seeds that all its levels have."""
    usual = _spec(sweep.base)[sweep.knob]
    levels = {level: {row.configuration: row for row in found.rows} for level, found in sweep.levels.items()}
    lines = []
    for row in sweep.base.rows:
        rows = {level: found[row.configuration] for level, found in levels.items() if row.configuration in found}
        if len(rows) > 1:
            lines.append(_line(row, rows, list(levels), usual))
    header = ["Method", "seeds n", *(f"{sweep.knob}={level:g}" for level in levels), "runs"]
    title = (
        f"mAP on `{sweep.base.key.protocol}` with `{sweep.knob}` of these people turned ({usual:g} above), over the "
        "seeds that all levels of a row have:"
    )
    return [title, table(header, lines)]


def _line(label: Row, rows: Mapping[float, Row], levels: Sequence[float], usual: float) -> list[str]:
    shared = set.intersection(*(set(row.values.index) for row in rows.values()))
    cells = []
    for level in levels:
        values = rows[level].values["mAP"][sorted(shared)] if level in rows and shared else None
        spread = None if values is None or len(values) < 2 else values.std()
        cells.append(MISSING if values is None else percent(values.mean(), spread))
    name = label.label + (" †" if any(row.dirty for row in rows.values()) else "")
    links = [
        f"{level:g}: " + " ".join(f"[{s}](records/{n})" for s, n in zip(row.values.index, row.records, strict=True))
        for level, row in rows.items()
        if level != usual and row.records
    ]
    return [name, str(len(shared)) if label.seeds else MISSING, *cells, "; ".join(links) or MISSING]


def _spec(found: Table) -> dict[str, float]:
    spec: dict[str, float] = json.loads(found.key.synthetic)["spec"]
    return spec


def _turned(base: Table, other: Table) -> str | None:
    """The one knob that two tables of synthetic people differ in; None where anything else differs too."""
    if not _alike(base, other):
        return None
    mine, theirs = _spec(base), _spec(other)
    changed = [name for name in mine if mine[name] != theirs.get(name)]
    return changed[0] if len(changed) == 1 and changed[0] not in NO_KNOBS else None


def _alike(base: Table, other: Table) -> bool:
    """Whether all but images and knobs is equal: layout, generator version, protocol, setting, gallery."""
    if not (base.key.synthetic and other.key.synthetic):
        return False
    mine, theirs = ({**json.loads(t.key.synthetic), "spec": {}, "bytes": "", "images": 0} for t in (base, other))
    keys = [t.key._replace(synthetic="", fingerprint="") for t in (base, other)]
    return mine == theirs and keys[0] == keys[1]
