"""The numbers of the leaderboard: which runs stand in which table, their means and spreads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from usvi_bench.core.errors import UsageError
from usvi_bench.core.metrics import METRICS
from usvi_bench.core.record import Record
from usvi_bench.core.settings import default_values, flatten
from usvi_bench.leaderboard.plugin_words import plugin_words

PROTOCOLS = {
    "sysu_all": "SYSU-MM01, all search",
    "sysu_indoor": "SYSU-MM01, indoor search",
    "regdb_v2i": "RegDB, visible to infrared",
    "regdb_i2v": "RegDB, infrared to visible",
    "llcm_v2i": "LLCM, visible to infrared",
    "llcm_i2v": "LLCM, infrared to visible",
}
"""The field's protocols in words, in the order they are shown; others come after them."""
IDENTITY_MARK = "(uses identities)"
_NOT_A_SETTING = ("method", "protocol", "seed", "setting")


class TableKey(NamedTuple):
    """Runs that may be compared: same images, protocol, gallery and setting. Real data sorts first."""

    synthetic: str
    dataset: str
    fingerprint: str
    protocol: str
    setting: str
    shots: int
    gallery: str


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One method in one configuration over its seeds; ``chance`` has no seeds.

    Attributes:
        method: registered name; empty for chance.
        plugins: plug-ins of its runs, as ``my_method.py@1f6a09c2``.
        configuration: equal for rows of other tables that were trained and scored by the same settings.
        released: whether the run has the defects of the released code (``method.form=released``).
        records: file name of each seed's record, in the order of ``values``.
        values: a row a seed, whose number is its index, a column a metric: fractions, mean over folds and trials.
        models: the same for every model the method scores, the headline's first.
        minutes: mean over seeds of the summed phases.
        memory: highest peak over seeds, MiB.
        competes: whether the row may be set in bold.
    """

    label: str
    method: str
    configuration: str
    released: bool
    records: tuple[str, ...]
    values: pd.DataFrame
    models: Mapping[str, pd.DataFrame]
    minutes: float | None
    memory: float | None
    dirty: bool
    competes: bool
    plugins: tuple[str, ...] = ()

    @property
    def seeds(self) -> int:
        return len(self.records)


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """Complete runs that may be compared, best mAP first, chance among them; ``knobs`` as in their records."""

    key: TableKey
    description: str
    rows: Sequence[ScoreRow]
    knobs: Mapping[str, float]

    @property
    def title(self) -> str:
        return f"{gallery_words(self.key.shots, self.key.gallery)}, {self.key.setting} setting"

    @property
    def data(self) -> str:
        """Which images were scored, in a sentence."""
        made = json.loads(self.key.synthetic).get("generator_version") if self.key.synthetic else None
        made = f"generator version {made}, " if made else ""
        return f"Data: {self.description} (`{self.key.dataset}`, {made}fingerprint `{self.key.fingerprint[:22]}`)."


def score_tables(records: Mapping[str, Record]) -> list[ScoreTable]:
    """All tables, real data first, of a protocol those with the most runs; incomplete runs are left out.

    Equal records give equal tables, whatever their order.

    Raises:
        UsageError: two records hold the same seed of the same configuration.
    """
    order = [*PROTOCOLS]
    groups: dict[TableKey, dict[str, Record]] = {}
    for name, record in sorted(records.items()):
        if record.complete:
            groups.setdefault(table_key(record), {})[name] = record

    def place(key: TableKey) -> tuple[bool, int, str, int, TableKey]:
        known = order.index(key.protocol) if key.protocol in order else len(order)
        return bool(key.synthetic), known, key.protocol, -len(groups[key]), key

    found = []
    for key in sorted(groups, key=place):
        data = next(iter(groups[key].values())).result.dataset
        found.append(ScoreTable(key, data["description"], score_rows(groups[key]), data["knobs"]))
    return found


def table_key(record: Record) -> TableKey:
    """The table a record belongs to."""
    result, data = record.result, record.result.dataset
    synthetic = "" if data["synthetic"] is None else json.dumps(data["synthetic"], sort_keys=True)
    shots = result.headline["shots"] or 0
    return TableKey(
        synthetic,
        data["name"],
        data["fingerprint"],
        result.protocol,
        result.setting,
        shots,
        result.headline["gallery"],
    )


def gallery_words(shots: int | None, gallery: str) -> str:
    """How galleries were drawn, in words; no shots where the protocol takes all images."""
    words = {1: "single-shot, ", 10: "multi-shot, "}.get(shots or 0, f"{shots}-shot, " if shots else "")
    return f"{words}{gallery} gallery"


def score_rows(records: Mapping[str, Record]) -> list[ScoreRow]:
    """The rows of one table, best mAP first, chance among them.

    Args:
        records: complete records of one :class:`TableKey`, by file name.

    Raises:
        UsageError: two records hold the same seed of the same row.
    """
    groups: dict[str, dict[str, Record]] = {}
    for name, record in records.items():
        groups.setdefault(_configuration(record), {})[name] = record
    rows = [_row(group, _label(group, groups)) for group in groups.values()]
    rows.append(_chance([record.result.chance for record in records.values()]))
    return sorted(rows, key=lambda row: (-row.values["mAP"].fillna(-1).mean(), row.label))


def _row(records: Mapping[str, Record], label: str) -> ScoreRow:
    """Mean over folds and trials within a seed first; seeds are what spreads are taken over."""
    first = next(iter(records.values())).result
    by_seed: dict[int, str] = {}
    for name, record in records.items():
        other = by_seed.setdefault(record.result.seed, name)
        if other != name:
            raise UsageError(f"{other} and {name}: both are {label}, seed {record.result.seed}; keep one")
    ordered = [records[by_seed[seed]] for seed in sorted(by_seed)]
    memory = [r.provenance["peak_memory_mib"] for r in ordered if r.provenance["peak_memory_mib"] is not None]
    return ScoreRow(
        label=label,
        method=first.method,
        configuration=_configuration(ordered[0]),
        released=first.config["method"].get("form") == "released",
        records=tuple(by_seed[seed] for seed in sorted(by_seed)),
        values=_per_seed(ordered),
        models=_models(ordered),
        minutes=sum(sum(record.provenance["seconds"].values()) for record in ordered) / 60 / len(ordered),
        memory=max(memory, default=None),
        dirty=any(record.provenance["dirty"] for record in ordered),
        competes=not first.uses_identities and first.method != "untrained",
        plugins=tuple(plugin_words(ordered[0])),
    )


def _per_seed(records: Sequence[Record], **kind: str) -> pd.DataFrame:
    means = {record.result.seed: record.means(**kind) for record in records}
    return pd.DataFrame.from_dict(means, orient="index", columns=list(METRICS), dtype=float).rename_axis("seed")


def _models(records: Sequence[Record]) -> dict[str, pd.DataFrame]:
    """Only models that every seed scored in every trial."""
    names = [records[0].result.headline["model"], *sorted({model for record in records for model in record.models})]
    return {
        model: _per_seed(records, model=model)
        for model in dict.fromkeys(names)
        if all(len(record.scores(model=model)) == len(record.scores()) for record in records)
    }


def _chance(chances: Sequence[Mapping[str, float]]) -> ScoreRow:
    mean = pd.DataFrame(list(chances), columns=list(METRICS), dtype=float).mean()
    return ScoreRow("chance", "", "", False, (), mean.to_frame().T, {}, None, None, dirty=False, competes=False)


def _label(group: Mapping[str, Record], groups: Mapping[str, Mapping[str, Record]]) -> str:
    """The method's name, with the settings that tell this row from the method's other rows."""
    record = next(iter(group.values()))
    firsts = [next(iter(other.values())) for other in groups.values()]
    plugins = plugin_words(record)
    same = [f for f in firsts if f.result.method == record.result.method and plugin_words(f) == plugins]
    variants = [_settings(first) for first in same]
    keys = sorted({key for variant in variants for key in variant})
    keys = [key for key in keys if len({variant.get(key) for variant in variants}) > 1]
    last = [key.rpartition(".")[2] for key in keys]
    mine = [_settings(record).get(key, "unset") for key in keys]
    named = [
        f"{key if last.count(end) > 1 else end}={value}"
        for key, end, value in zip(keys, last, mine, strict=True)
        if value != "unset" or not key.startswith("encoder.")  # an encoder has no settings of another one
    ]
    if [[variant.get(key, "unset") for key in keys] for variant in variants].count(mine) > 1:
        named.append(f"config={record.result.config_hash[:8]}")
    notes = [f"({', '.join(named)})"] if named else []
    notes += [f"(plug-in {words})" for words in plugins]
    return " ".join([record.result.method, *notes, *([IDENTITY_MARK] if record.result.uses_identities else [])])


def _configuration(record: Record) -> str:
    result = record.result
    return json.dumps([result.method, result.config_hash, _settings(record, config=False)])


def _settings(record: Record, config: bool = True) -> dict[str, str]:
    """Return everything that makes a row of its own, flat: the settings, start weights, what is scored."""
    result = record.result
    weights, headline = result.start_weights, result.headline
    digest = f"@{weights['sha256'][:8]}" if weights["sha256"] else ""
    flat = {
        "weights": weights["source"] + digest,
        **({"plug-ins": " ".join(plugin_words(record))} if record.plugins else {}),
        **{name: str(headline[name]) for name in ("model", "selection", "feature")},
    }
    if config:
        defaults = default_values(result.format, result.method, result.config)  # for settings newer than the record
        settings = {**defaults, **flatten(result.config)}
        flat |= {name: str(value) for name, value in settings.items()}
    return flat
