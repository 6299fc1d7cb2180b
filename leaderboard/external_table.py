"""Tables of external models: models that others trained. They are never in one table with trainings, nor ranked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from usvi_bench.core.errors import UsageError
from usvi_bench.core.external import External
from usvi_bench.core.formatting import file_name
from usvi_bench.core.markdown import plain
from usvi_bench.core.metrics import METRICS, RERANKED
from usvi_bench.core.record import Record
from usvi_bench.core.table import Cell, Link, Table, TableRow, percent_cell
from usvi_bench.leaderboard.board import RERANKED_COLUMNS, RERANKED_METRICS, RERANKED_NOTE
from usvi_bench.leaderboard.score_table import TableKey, gallery_words, table_key

NOTE = (
    "Scores of models that others trained, in percent. Who trained a model, on which people, with which labels, and "
    "how its epoch was chosen is not known, so these scores are not ranked or compared with those of trainings. "
    "Model: the words of the person who scored it, and the first digits of the SHA-256 of its file. "
    "Folds: the scored folds of all."
)
COLUMNS = ("Model", "Kind", "Network", "Feature", "Images", "Folds", *METRICS, "record")


def trained(records: Mapping[str, Record]) -> dict[str, Record]:
    """Select the records of trainings."""
    return {name: record for name, record in records.items() if record.result.external is None}


def external_tables(records: Mapping[str, Record]) -> list[Table]:
    """Build a table for each protocol, gallery and set of images that external models were scored on.

    Args:
        records: all records by file name; those of trainings are left out.

    Raises:
        UsageError: two records have equal files, networks and settings.
    """
    groups: dict[TableKey, list[_Row]] = {}
    places: dict[tuple[TableKey, str, str], str] = {}
    for name, record in sorted(records.items()):
        external = record.result.external
        if external is None:
            continue
        key = table_key(record)
        other = places.setdefault((key, record.result.config_hash, external.network), name)
        if other != name:
            raise UsageError(f"{other} and {name}: both are of the same network, with equal settings; keep one")
        groups.setdefault(key, []).append(_Row(_label(record, external), name, record, external))
    return [_table(key, sorted(rows)) for key, rows in sorted(groups.items())]


class _Row(NamedTuple):
    label: str
    name: str
    record: Record
    external: External


def _label(record: Record, external: External) -> str:
    start = record.result.start_weights
    return f"{external.claims or start['source']} @{(start['sha256'] or '')[:8]}"


def _table(key: TableKey, rows: list[_Row]) -> Table:
    description = rows[0].record.result.dataset["description"]
    title = f"{key.protocol}, {gallery_words(key.shots, key.gallery)}: {plain(description)}"
    first = rows[0].record.result
    reranked = any(_reranked(row.record) for row in rows)
    shown = RERANKED_COLUMNS if reranked else ()
    chance = [
        Cell("chance"),
        *[Cell("-")] * 5,
        *(percent_cell(first.chance.get(metric)) for metric in METRICS),
        *[Cell("-")] * (len(shown) + 1),
    ]
    lines = [TableRow(cells, quiet=True) for cells in [*(_cells(row, reranked) for row in rows), chance]]
    return Table(
        title,
        [*COLUMNS[:-1], *shown, COLUMNS[-1]],
        lines,
        words=6,
        notes=[RERANKED_NOTE] if reranked else [],
        name=file_name(f"external-{key.protocol}-{key.fingerprint[-6:]}"),
    )


def _reranked(record: Record) -> dict[str, float]:
    """Return the means after re-ranking; empty unless every trial has them."""
    kind = {"feature": f"{record.result.headline['feature']}{RERANKED}"}
    return record.means(**kind) if len(record.scores(**kind)) == len(record.scores()) else {}


def _cells(row: _Row, reranked: bool) -> list[Cell]:
    result, means = row.record.result, row.record.means()
    data = result.config.get("data", {})
    size = f"{data['height']}x{data['width']}" if "height" in data else "-"
    words = [row.label, row.external.kind, row.external.network, result.headline["feature"], size]
    folds = f"{len(row.external.files)} of {len(result.folds)}"
    scores = [percent_cell(means.get(metric)) for metric in METRICS]
    if reranked:
        again = _reranked(row.record)
        scores += [percent_cell(again.get(metric)) for metric in RERANKED_METRICS]
    return [*map(Cell, [*words, folds]), *scores, Cell([Link("record", "run", row.name)])]
