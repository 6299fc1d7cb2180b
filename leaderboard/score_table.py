"""Score tables of the leaderboard: groups of comparable runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from usvi_bench.core.formatting import counted
from usvi_bench.core.markdown import code, plain
from usvi_bench.core.record import Record
from usvi_bench.core.result import REPAIRED
from usvi_bench.leaderboard.score_rows import CORRUPTED, ScoreRow, score_rows

PROTOCOLS = {
    "sysu_all": "SYSU-MM01, all search",
    "sysu_indoor": "SYSU-MM01, indoor search",
    "regdb_v2i": "RegDB, visible to infrared",
    "regdb_i2v": "RegDB, infrared to visible",
    "llcm_v2i": "LLCM, visible to infrared",
    "llcm_i2v": "LLCM, infrared to visible",
    "sysu_all_c": "SYSU-MM01, all search, corrupted",
    "sysu_indoor_c": "SYSU-MM01, indoor search, corrupted",
    "regdb_v2i_c": "RegDB, visible to infrared, corrupted",
    "regdb_i2v_c": "RegDB, infrared to visible, corrupted",
    "llcm_v2i_c": "LLCM, visible to infrared, corrupted",
    "llcm_i2v_c": "LLCM, infrared to visible, corrupted",
}
"""Display names of the standard protocols, in display order; other protocols come after them."""


class TableKey(NamedTuple):
    """Key of a table: comparable runs have equal images, protocol, gallery, setting, form and training data.

    Real data sorts first.
    """

    synthetic: str
    dataset: str
    fingerprint: str
    protocol: str
    setting: str
    shots: int
    gallery: str
    trained_on: str = ""
    """Name and fingerprint of the training data, if they are other ones than the scored data."""
    donors: str = ""
    """Name and fingerprint of the data set whose people replace training people; empty if none are replaced."""
    form: str = REPAIRED
    """Form of all methods: ``repaired``, also of methods without a released form, or ``released``."""

    @property
    def usual_training(self) -> bool:
        """Whether the training images are those of the scored data set."""
        return not (self.trained_on or self.donors)

    @property
    def people(self) -> int:
        """Data seed of the synthetic people."""
        return int(json.loads(self.synthetic)["spec"]["seed"])


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """Score table of comparable complete runs and chance, highest mAP first; ``knobs`` as in the records.

    ``trained_on`` describes the training data, if they are other ones than the scored data, and ``donors`` the data set
    of the people that replace training people. ``machines`` has the number of runs by the processor that made them.
    """

    key: TableKey
    description: str
    rows: Sequence[ScoreRow]
    knobs: Mapping[str, float]
    trained_on: str = ""
    donors: str = ""
    machines: Mapping[str, int] = field(default_factory=dict)

    @property
    def title(self) -> str:
        words = f"{gallery_words(self.key.shots, self.key.gallery)}, {self.key.setting} setting, {self.key.form} form"
        names = f"{self.key.trained_on.partition(' ')[0]} -> {self.key.dataset}"
        words += ", people replaced" if self.key.donors else ""
        return f"{words}, {names}" if self.key.trained_on else words

    @property
    def data(self) -> str:
        """Sentence that describes the scored images, in Markdown."""
        made = json.loads(self.key.synthetic).get("generator_version") if self.key.synthetic else None
        made = f"generator version {plain(str(made))}, " if made else ""
        name, fingerprint = code(self.key.dataset), code(self.key.fingerprint[:22])
        text = f"Data: {plain(self.description)} ({name}, {made}fingerprint {fingerprint})."
        if self.key.donors:
            kind, _, mark = self.key.donors.partition(" ")
            where = f"{plain(self.donors)} ({code(kind)}, fingerprint {code(mark[:22])})"
            text += f" In visible images, people of {where} replace the share data.foreign of the training people."
        if self.key.trained_on:
            kind, _, mark = self.key.trained_on.partition(" ")
            text += f" Trained on {plain(self.trained_on)} ({code(kind)}, fingerprint {code(mark[:22])}), fold 1."
        made_by = ", ".join(f"{plain(name)} ({counted(runs, 'run')})" for name, runs in sorted(self.machines.items()))
        return f"{text} Processors of the runs: {made_by}." if made_by else text


def score_tables(records: Mapping[str, Record], repeats: Collection[str] = ()) -> list[ScoreTable]:
    """Build all tables from complete trainings: real data first, within a protocol the table with the most runs first.

    External models are left out. The result does not depend on the order of the records.

    Args:
        records: by file name.
        repeats: names of the records that were repeated elsewhere.

    Raises:
        UsageError: two records have the same configuration and seed.
    """
    order = [*PROTOCOLS]
    groups: dict[TableKey, dict[str, Record]] = {}
    for name, record in sorted(records.items()):
        if record.complete and record.result.external is None:
            groups.setdefault(table_key(record), {})[name] = record

    def place(key: TableKey) -> tuple[bool, int, str, int, TableKey]:
        known = order.index(key.protocol) if key.protocol in order else len(order)
        return bool(key.synthetic), known, key.protocol, -len(groups[key]), key

    found = []
    for key in sorted(groups, key=place):
        first = next(iter(groups[key].values())).result
        data, trained = first.dataset, "" if first.trained_on is None else first.trained_on["description"]
        donors = "" if first.donors is None else first.donors["description"]
        rows = score_rows(groups[key], repeats)
        machines = Counter(made_on(record) for record in groups[key].values())
        found.append(ScoreTable(key, data["description"], rows, data["knobs"], trained, donors, machines))
    return found


def table_key(record: Record) -> TableKey:
    """Return the key of the table that a record belongs to."""
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
        "" if result.trained_on is None else f"{result.trained_on['name']} {result.trained_on['fingerprint']}",
        "" if result.donors is None else f"{result.donors['name']} {result.donors['fingerprint']}",
        result.form,
    )


def made_on(record: Record) -> str:
    """Return the name of the processor that made a record: the GPU if one was used, else the CPU."""
    return record.provenance["gpu"] or record.provenance["cpu"]


def gallery_words(shots: int | None, gallery: str) -> str:
    """Describe how galleries are drawn; without the number of shots if the gallery has all images."""
    words = {1: "single-shot, ", 10: "multi-shot, "}.get(shots or 0, f"{shots}-shot, " if shots else "")
    drawn, corrupted, options = gallery.partition(CORRUPTED)
    if not corrupted:
        return f"{words}{gallery} gallery"
    modalities = "visible and infrared" if "+infrared" in options else "visible"
    native = ", corrupted before resizing" if "+native" in options else ""
    return f"{words}{drawn} gallery, corrupted {modalities} images{native}"
