"""Own images in a table: a CSV or Parquet file with a row for each image or for each box in an image."""

from __future__ import annotations

import csv
import io
import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from usvi_bench.core.errors import UsageError, did_you_mean, show
from usvi_bench.core.paths import is_file
from usvi_bench.datasets.own_images import (
    MODALITY_WORDS,
    SPLITS,
    TRAIN,
    WHOLE,
    Box,
    OwnImage,
    OwnImages,
    file_faults,
    image_faults,
    path_fault,
)
from usvi_bench.datasets.tree import shortened

NEEDED = ("path", "modality")
BOX = ("x_1", "y_1", "x_2", "y_2")
"""Columns of a box: left, top, right, bottom."""
COLUMNS = (*NEEDED, "identity", "camera", "split", *BOX)
MOST_COLUMNS, MOST_ROWS, LONGEST = 1000, 10_000_000, 500
"""Most columns and rows of a table, and most characters of a cell that is read."""
BATCH = 1000
"""Rows of a Parquet file that are read at a time."""
_NUMBER = re.compile(r"([0-9]{1,6})(?:\.0+)?", re.ASCII)
Row = dict[str, str]


def is_table(path: Path) -> bool:
    """Return whether a path is a file that is read as a table, by its suffix."""
    return path.suffix.lower() in READERS and is_file(path)


def read_table(path: Path) -> OwnImages:
    """Read the images of a table, and collect everything that is wrong with its rows.

    Paths are relative to the folder of the table. Columns with other names are not read.

    Raises:
        UsageError: the table cannot be read, or lacks a column.
    """
    if not is_file(path):
        raise UsageError(f"{path} is not a file; give a table as .csv or .parquet, or a folder of images")
    header, rows = READERS[path.suffix.lower()](path)
    _check_header(path, header)
    faults: list[str] = []
    images: list[OwnImage] = []
    has_split = False
    for number, row in enumerate(rows, 1):
        if number > MOST_ROWS:
            raise UsageError(f"{path} has more than {MOST_ROWS:,} rows; split it into several tables")
        wrong, image = _image(row)
        has_split = has_split or bool(row.get("split"))
        if wrong:
            faults.append(f"row {number}: {wrong}")
        elif image is not None:
            images.append(image)
    if has_split and (lacking := sum(not image.split for image in images)):
        faults.append(f"{lacking} rows have no split: give each row train, query, gallery or test, or none")
    images = [image if image.split else image._replace(split=TRAIN) for image in images]
    if not images and not faults:
        faults.append("the table has no rows: add a row for each image")
    lost = file_faults(path.parent, (image.path for image in images))
    if images:
        faults += [*image_faults(images), *lost.values()]
    other = [show(name) for name in header if name not in COLUMNS]
    notes = [f"{path.name}: columns that are not read: {shortened(other, 5, ', ')}"] if other else []
    return OwnImages(path.parent, path.name, images, notes, tuple(faults), frozenset(lost))


def _check_header(path: Path, header: Sequence[str]) -> None:
    if len(header) == 1 and (found := next((mark for mark in ";\t|" if mark in header[0]), None)):
        raise UsageError(f"{path}: its columns are separated by {found!r}; write them with commas")
    if len(header) > MOST_COLUMNS:
        raise UsageError(f"{path} has {len(header):,} columns; keep {', '.join(COLUMNS)}")
    for name in NEEDED:
        if name not in header:
            near = did_you_mean(name, map(show, header)) if 0 < len(header) <= 10 else ""
            raise UsageError(f"{path} has no column '{name}' ({near or 'other columns'}); name it so in its first line")
    if twice := [name for name in COLUMNS if list(header).count(name) > 1]:
        raise UsageError(f"{path} has the column '{twice[0]}' twice; remove one")
    if any(name in header for name in BOX) and (lacking := [name for name in BOX if name not in header]):
        raise UsageError(f"{path} has boxes but no column '{lacking[0]}'; give {', '.join(BOX)}")


def _image(row: Row) -> tuple[str, OwnImage | None]:
    """Return what is wrong with a row, or its image."""
    for name, cell in row.items():
        if len(cell) > LONGEST or not cell.isprintable():
            return f"{name}: {show(cell)} is not printable text of at most {LONGEST} characters: correct it", None
    path = row["path"].replace("\\", "/")
    if fault := path_fault(path):
        return f"path: '{show(path)}' {fault}: correct it", None
    modality = MODALITY_WORDS.get(row["modality"].lower())
    if modality is None:
        return f"modality: '{show(row['modality'])}': choose visible or infrared", None
    split = row.get("split", "").lower()
    if split and split not in SPLITS:
        return f"split: '{show(split)}': choose one of {', '.join(SPLITS)}", None
    cells = [row.get(name, "") for name in BOX]
    box = WHOLE if not any(cells) else _box(cells)
    if box is None:
        return f"box: {show(', '.join(cells))}: give x_1 < x_2 and y_1 < y_2 as whole numbers of pixels", None
    return "", OwnImage(posixpath.normpath(path), box, modality, row.get("identity", ""), row.get("camera", ""), split)


def _box(cells: Sequence[str]) -> Box | None:
    numbers = [int(match[1]) for cell in cells if (match := _NUMBER.fullmatch(cell))]
    if len(numbers) < len(BOX) or not (numbers[0] < numbers[2] and numbers[1] < numbers[3]):
        return None
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _read_csv(path: Path) -> tuple[list[str], Iterator[Row]]:
    """Read header and rows of a CSV file in UTF-8; blank lines are skipped."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path} as text in UTF-8 ({error}); save it as CSV in UTF-8") from error
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    header = [name.strip() for name in _next(path, lines) or []]

    def rows() -> Iterator[Row]:
        while (cells := _next(path, lines)) is not None:
            if not cells:
                continue
            if len(cells) != len(header):
                raise UsageError(
                    f"{path} line {lines.line_num}: {len(cells)} cells, but {len(header)} columns; correct the line"
                )
            yield {name: cell.strip() for name, cell in zip(header, cells, strict=True) if name in COLUMNS}

    return header, rows()


def _next(path: Path, lines: Any) -> list[str] | None:
    try:
        cells: list[str] | None = next(lines, None)
    except csv.Error as error:
        raise UsageError(f"{path} line {lines.line_num}: {error}; write the table as CSV") from error
    return cells


def _read_parquet(path: Path) -> tuple[list[str], Iterator[Row]]:
    """Read header and rows of a Parquet file."""
    try:
        from pyarrow import parquet  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise UsageError(
            f"{path}: Parquet needs pyarrow; install the extra: pip install 'usvi-bench[parquet]', or give a .csv file"
        ) from error
    try:
        file = parquet.ParquetFile(path)
        header, rows = [str(name) for name in file.schema_arrow.names], file.metadata.num_rows
    except Exception as error:  # the reader of Parquet raises many types
        raise _not_parquet(path, error) from error
    if rows > MOST_ROWS:
        raise UsageError(f"{path} has {rows:,} rows; split it into tables of {MOST_ROWS:,}")
    return header, _parquet_rows(path, file, [name for name in header if name in COLUMNS])


def _parquet_rows(path: Path, file: Any, wanted: list[str]) -> Iterator[Row]:
    """Yield the rows of a Parquet file in batches, because a small file may hold one long text for all rows."""
    batches = file.iter_batches(batch_size=BATCH, columns=wanted)
    while True:
        try:
            batch = next(batches, None)
            columns = [] if batch is None else [column.to_pylist() for column in batch.columns]
        except Exception as error:  # as above
            raise _not_parquet(path, error) from error
        if batch is None:
            return
        for name, cells in zip(wanted, columns, strict=True):
            if (most := max((len(cell) for cell in cells if isinstance(cell, (str, bytes))), default=0)) > 10 * LONGEST:
                raise UsageError(f"{path}: {name} has a cell of {most:,} characters; write at most {LONGEST}")
        for row in zip(*columns, strict=True):
            yield {name: _text(value) for name, value in zip(wanted, row, strict=True)}


def _not_parquet(path: Path, error: Exception) -> UsageError:
    return UsageError(f"cannot read {path} as Parquet ({show(error) or type(error).__name__}); write it again")


def _text(value: Any) -> str:
    """Return the text of a cell; empty for a missing value, without a fraction for a whole number."""
    if value is None or value != value:  # NaN differs from itself
        return ""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).strip()


READERS: dict[str, Callable[[Path], tuple[list[str], Iterator[Row]]]] = {".csv": _read_csv, ".parquet": _read_parquet}
"""Reader of header and rows by suffix."""
