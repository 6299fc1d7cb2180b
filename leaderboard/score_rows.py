"""Rows of the score tables of the leaderboard: the scores of a configuration of a method by seed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from usvi_bench.core.errors import UsageError
from usvi_bench.core.metrics import METRICS, RERANKED
from usvi_bench.core.record import Record
from usvi_bench.core.settings import default_values, flatten
from usvi_bench.leaderboard.plugin_words import plugin_words

IDENTITY_MARK = "(uses identities)"
CORRUPTED = "+corrupted"
"""Part of the name of a gallery that is scored on corrupted images."""
SHARED_SECTIONS = ("train", "data", "augment", "evaluate_every")
"""Sections of the settings that the methods of a table share."""


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """Row of a score table: one configuration of a method over its seeds, or ``chance``, which has no seeds.

    Attributes:
        method: registered name; empty for chance.
        plugins: plug-ins of its runs, as ``my_method.py@1f6a09c2``.
        configuration: equal for rows of different tables that were trained and scored with the same settings.
        records: file name of the record of each seed, in the order of ``values``.
        values: one row per seed (the index), one column per metric: fractions, mean over folds and trials.
        models: the same table for each scored model; the headline model comes first.
        competes: whether the row is ranked and can be set in bold.
        repeats: number of its runs that were repeated elsewhere.
        reranked: ``values`` after re-ranking; None unless every seed has these scores in every trial.
        spread: sample standard deviation of mAP over the evaluations of a run on corrupted images, mean over seeds.
    """

    label: str
    method: str
    configuration: str
    records: tuple[str, ...]
    values: pd.DataFrame
    models: Mapping[str, pd.DataFrame]
    dirty: bool
    competes: bool
    plugins: tuple[str, ...] = ()
    repeats: int = 0
    reranked: pd.DataFrame | None = None
    spread: float | None = None

    @property
    def seeds(self) -> int:
        return len(self.records)


def score_rows(records: Mapping[str, Record], repeats: Collection[str] = ()) -> list[ScoreRow]:
    """Build the rows of one table, including chance, highest mAP first.

    Args:
        records: complete records of one :class:`TableKey`, by file name.
        repeats: names of the records that were repeated elsewhere.

    Raises:
        UsageError: two records of a row have the same seed.
    """
    groups: dict[str, dict[str, Record]] = {}
    for name, record in records.items():
        groups.setdefault(_configuration(record), {})[name] = record
    rows = [_row(group, _label(group, groups), repeats) for group in groups.values()]
    rows.append(_chance([record.result.chance for record in records.values()]))
    return sorted(rows, key=lambda row: (-row.values["mAP"].fillna(-1).mean(), row.label))


def _row(records: Mapping[str, Record], label: str, repeats: Collection[str]) -> ScoreRow:
    """Build a row: each seed is the mean over its folds and trials; spreads are computed over seeds."""
    first = next(iter(records.values())).result
    by_seed: dict[int, str] = {}
    for name, record in records.items():
        other = by_seed.setdefault(record.result.seed, name)
        if other != name:
            raise UsageError(f"{other} and {name}: both are {label}, seed {record.result.seed}; keep one")
    ordered = [records[by_seed[seed]] for seed in sorted(by_seed)]
    return ScoreRow(
        label=label,
        method=first.method,
        configuration=_configuration(ordered[0]),
        records=tuple(by_seed[seed] for seed in sorted(by_seed)),
        values=_per_seed(ordered),
        models=_models(ordered),
        dirty=any(record.provenance["dirty"] for record in ordered),
        competes=not first.uses_identities and first.method != "untrained",
        plugins=tuple(plugin_words(ordered[0])),
        repeats=sum(name in repeats for name in records),
        reranked=_reranked(ordered),
        spread=_spread(ordered),
    )


def _spread(records: Sequence[Record]) -> float | None:
    if CORRUPTED not in records[0].result.headline["gallery"] or len(records[0].scores()) < 2:
        return None
    return float(np.mean([np.std([s.metrics["mAP"] for s in record.scores()], ddof=1) for record in records]))


def _per_seed(records: Sequence[Record], **kind: str) -> pd.DataFrame:
    means = {record.result.seed: record.means(**kind) for record in records}
    return pd.DataFrame.from_dict(means, orient="index", columns=list(METRICS), dtype=float).rename_axis("seed")


def _reranked(records: Sequence[Record]) -> pd.DataFrame | None:
    kind = {"feature": f"{records[0].result.headline['feature']}{RERANKED}"}
    complete = all(len(record.scores(**kind)) == len(record.scores()) for record in records)
    return _per_seed(records, **kind) if complete else None


def _models(records: Sequence[Record]) -> dict[str, pd.DataFrame]:
    """Return the scores of the models that every seed scored in every trial."""
    names = [records[0].result.headline["model"], *sorted({model for record in records for model in record.models})]
    return {
        model: _per_seed(records, model=model)
        for model in dict.fromkeys(names)
        if all(len(record.scores(model=model)) == len(record.scores()) for record in records)
    }


def _chance(chances: Sequence[Mapping[str, float]]) -> ScoreRow:
    mean = pd.DataFrame(list(chances), columns=list(METRICS), dtype=float).mean()
    return ScoreRow("chance", "", "", (), mean.to_frame().T, {}, dirty=False, competes=False)


def _label(group: Mapping[str, Record], groups: Mapping[str, Mapping[str, Record]]) -> str:
    """Return the name of the method, with its settings that other rows of the method, or of the table, do not have.

    Of the whole table, those settings are compared that all methods share; the usual value is that of most rows.
    """
    record = next(iter(group.values()))
    firsts = [next(iter(other.values())) for other in groups.values()]
    plugins = plugin_words(record)
    same = [f for f in firsts if f.result.method == record.result.method and plugin_words(f) == plugins]
    variants = [_settings(first) for first in same]
    keys = sorted({key for variant in variants for key in variant})
    shared = _shared_values(firsts)
    keys = [
        key
        for key in keys
        if len({variant.get(key) for variant in variants}) > 1
        or (key in shared and _settings(record).get(key) != shared[key])
    ]
    last = [key.rpartition(".")[2] for key in keys]
    mine = [_settings(record).get(key, "unset") for key in keys]
    named = [
        f"{key if last.count(end) > 1 else end}={value}"
        for key, end, value in zip(keys, last, mine, strict=True)
        if value != "unset" or not key.startswith("encoder.")  # settings of another encoder do not apply
    ]
    if [[variant.get(key, "unset") for key in keys] for variant in variants].count(mine) > 1:
        named.append(f"config={record.result.config_hash[:8]}")
    notes = [f"({', '.join(named)})"] if named else []
    notes += [f"(plug-in {words})" for words in plugins]
    return " ".join([record.result.method, *notes, *([IDENTITY_MARK] if record.result.uses_identities else [])])


def _shared_values(records: Sequence[Record]) -> dict[str, str]:
    """Return the value that more than half of the rows have, for each setting of the engine that all rows have.

    Methods and encoders have settings of their own, which are left out. The value is empty if no value has a majority.
    """
    every = [_settings(record) for record in records]
    found = {}
    for key in set.intersection(*map(set, every)):
        if key.partition(".")[0] in SHARED_SECTIONS:
            value, count = Counter(settings[key] for settings in every).most_common(1)[0]
            found[key] = value if 2 * count > len(every) else ""
    return found


def _configuration(record: Record) -> str:
    result = record.result
    return json.dumps([result.method, result.config_hash, _settings(record, config=False)])


def _settings(record: Record, config: bool = True) -> dict[str, str]:
    """Return all values that distinguish rows, flattened: settings, starting weights, scored model."""
    result = record.result
    weights, headline = result.start_weights, result.headline
    digest = f"@{weights['sha256'][:8]}" if weights["sha256"] else ""
    flat = {
        "weights": weights["source"] + digest,
        **({"plug-ins": " ".join(plugin_words(record))} if record.plugins else {}),
        **{name: str(headline[name]) for name in ("model", "selection", "feature")},
    }
    if config:
        defaults = default_values(
            result.format, result.method, result.config
        )  # for settings that are newer than the record
        settings = {**defaults, **flatten(result.config)}
        flat |= {name: str(value) for name, value in settings.items()}
    return flat
