"""Hostile Parquet files as tables of own images."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from tests.faults.corpus.damage import Item

PARQUET = "list.parquet"


def parquet_items(rng: np.random.Generator) -> Iterator[Item]:
    """Yield hostile Parquet files, if there is a reader of them."""
    if find_spec("pyarrow") is None:
        print("Parquet files are not tried: there is no pyarrow", file=sys.stderr)
        return
    path = "visible/train-0-0.png"
    many: dict[str, dict[str, list[object]]] = {
        "parent folder": {"path": ["../secret.png"], "modality": ["visible"]},
        "absolute path": {"path": ["/etc/passwd"], "modality": ["visible"]},
        "lists as cells": {"path": [[path, path]], "modality": ["visible"]},
        "bytes as cells": {"path": [b"\xff\xfe"], "modality": ["visible"]},
        "numbers as cells": {"path": [1e308], "modality": [float("nan")]},
        "NUL in a cell": {"path": ["a\x00.png"], "modality": ["visible"]},
        "escape sequence": {"path": [path], "modality": ["\x1b[2J"]},
        "no columns": {},
        "no rows": {"path": [], "modality": []},
    }
    for text, columns in many.items():
        yield "parquet", text, partial(_write_parquet, columns), "refused", ("list.parquet", "row ", "image", "path")
    for text, cut in {
        "cut": slice(0, 200),
        "without its end": slice(0, -4),
        "without its head": slice(4, None),
    }.items():
        yield "parquet", text, partial(_cut_parquet, cut), "refused", ("list.parquet",)
    yield "parquet", "10^5 rows of a text of 10^5", _long_parquet, "refused", ("list.parquet",)
    noise = rng.bytes(500)
    for text, content in {"noise": noise, "empty": b"", "noise between marks": b"PAR1" + noise + b"PAR1"}.items():
        yield "parquet", text, partial(_bytes, content), "refused", ("list.parquet",)
    good: dict[str, list[object]] = {"path": [path, "infrared/train-0-0.png"], "modality": ["visible", "infrared"]}
    yield "parquet", "harmless", partial(_write_parquet, good), "accepted", ()


def _write_parquet(columns: dict[str, list[object]], root: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table(columns), root / PARQUET, compression="gzip")


def _long_parquet(root: Path) -> None:
    """Write a small file that needs 10 GB when it is read: each row refers to one long text."""
    import pyarrow as pa
    from pyarrow import parquet

    rows = pa.array(np.zeros(100_000, np.int32))
    columns = {
        name: pa.DictionaryArray.from_arrays(rows, pa.array([text]))
        for name, text in (("path", "p" * 100_000), ("modality", "visible"))
    }
    parquet.write_table(pa.table(columns), root / PARQUET)


def _cut_parquet(cut: slice, root: Path) -> None:
    _write_parquet({"path": ["visible/train-0-0.png"] * 100, "modality": ["visible"] * 100}, root)
    (root / PARQUET).write_bytes((root / PARQUET).read_bytes()[cut])


def _bytes(content: bytes, root: Path) -> None:
    (root / PARQUET).write_bytes(content)
