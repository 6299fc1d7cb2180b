"""Sidecars of records: what is read is what was written, and every other file is refused."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from usvi_bench.core.errors import UsageError
from usvi_bench.core.result import QueriesNote
from usvi_bench.protocols.base import QueryScores
from usvi_bench.protocols.sidecar import LARGEST, ROUNDING, read_sidecar, sidecar_path, write_sidecar

TRIALS = 2
DRAWS = "d" * 64
Arrays = dict[str, Any]


def make_folds(queries: int = 7, largest: int = 90) -> dict[int, QueryScores]:
    """Make results of two folds; the second query of each is invalid."""
    draw = np.random.default_rng(0)
    found = {}
    for fold, count in ((2, queries), (5, queries + 2)):
        first = draw.integers(0, largest, (TRIALS, count))
        first[:, 1] = -1
        precision = np.where(first < 0, np.nan, draw.uniform(0.001, 1, first.shape))
        paths = tuple(f"cam3/{i:04}.jpg" for i in range(count))
        found[fold] = QueryScores(precision, first, 40 - np.arange(count) // 3, paths)
    return found


def noted(path: Path, content: bytes) -> QueriesNote:
    """Write a file, and return the note that a stranger's record would have about it."""
    path.write_bytes(content)
    return {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "draws": DRAWS}


def saved(arrays: Arrays, save: Callable[..., None] = np.savez) -> bytes:
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


@pytest.fixture
def arrays(tmp_path: Path) -> Arrays:
    write_sidecar(tmp_path / "right.npz", make_folds(), DRAWS)
    with np.load(tmp_path / "right.npz") as found:
        return dict(found)


@pytest.mark.parametrize(("largest", "kind"), [(90, "uint8"), (4000, "uint16"), (100_000, "uint32")])
def test_what_is_read_is_what_was_written(largest: int, kind: str, tmp_path: Path) -> None:
    folds, path = make_folds(largest=largest), sidecar_path(tmp_path / "pgm-seed0.json")
    note = write_sidecar(path, folds, DRAWS)
    assert (note["draws"], note["size"]) == (DRAWS, path.stat().st_size)
    with np.load(path, allow_pickle=False) as arrays:
        assert arrays["first_match"].dtype == kind
    found = read_sidecar(path, note, TRIALS)
    assert list(found) == [2, 5]
    for fold, scores in found.items():
        assert np.array_equal(scores.first_match_rank, folds[fold].first_match_rank)
        gap = np.abs(scores.average_precision - folds[fold].average_precision)
        assert np.array_equal(np.isnan(gap), folds[fold].first_match_rank < 0)
        assert 0 < np.nanmax(gap) <= ROUNDING
        people = dict(zip(scores.identities.tolist(), folds[fold].identities.tolist(), strict=True))
        assert [people[number] for number in scores.identities.tolist()] == folds[fold].identities.tolist()
        assert scores.paths == ()


def test_no_path_and_no_identity_is_in_the_file(tmp_path: Path) -> None:
    write_sidecar(tmp_path / "a.npz", make_folds(), DRAWS)
    assert b"cam3" not in (tmp_path / "a.npz").read_bytes()
    folds = make_folds()
    renamed = {
        fold: QueryScores(s.average_precision, s.first_match_rank, s.identities + 900, ()) for fold, s in folds.items()
    }
    write_sidecar(tmp_path / "b.npz", renamed, DRAWS)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_rounding_is_the_largest_error_of_float16() -> None:
    values = np.linspace(0, 1, 200_001)
    assert ROUNDING / 2 < np.abs(values.astype(np.float16).astype(float) - values).max() <= ROUNDING


@pytest.mark.parametrize(
    ("queries", "trials", "people", "largest"), [(354, 10, 32, 12_500), (3803, 10, 96, 120_000)], ids=["small", "full"]
)
def test_size_of_sysu_all(queries: int, trials: int, people: int, largest: int, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    first = draw.integers(0, people, (trials, queries))
    scores = QueryScores(draw.uniform(0.01, 1, first.shape), first, draw.permutation(queries) % people, ())
    size = write_sidecar(tmp_path / "a.npz", {1: scores}, DRAWS)["size"]
    assert 3 * trials * queries + queries < size < largest


def test_a_changed_cut_or_foreign_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    note = write_sidecar(path, make_folds(), DRAWS)
    content = path.read_bytes()
    other = write_sidecar(tmp_path / "b.npz", make_folds(largest=80), DRAWS)
    for changed, fault in (
        (content[:-1], "bytes, but the record has"),
        (content + b"x", "bytes, but the record has"),
        (content.replace(b"people", b"peoplf"), "its hash is not that of the record"),
        ((tmp_path / "b.npz").read_bytes(), "its hash is not that of the record"),
    ):
        path.write_bytes(changed)
        with pytest.raises(UsageError, match=fault):
            read_sidecar(path, note, TRIALS)
    assert other["size"] == note["size"]
    path.unlink()
    with pytest.raises(UsageError, match="no such file, but the record has results of each query"):
        read_sidecar(path, note, TRIALS)


def test_a_file_that_never_ends_or_is_too_large_is_not_read(tmp_path: Path) -> None:
    note: QueriesNote = {"sha256": "0" * 64, "size": 100, "draws": DRAWS}
    for name, make in (
        ("fifo", os.mkfifo),
        ("zero", lambda path: path.symlink_to("/dev/zero")),
        ("folder", Path.mkdir),
    ):
        make(tmp_path / name)  # type: ignore[operator]
        with pytest.raises(UsageError, match="no such file"):
            read_sidecar(tmp_path / name, note, TRIALS)
    (tmp_path / "a.npz").touch()
    for size in (-1, 0, LARGEST + 1):
        with pytest.raises(UsageError, match=rf"size: {size} is not between 1 and {LARGEST} bytes"):
            read_sidecar(tmp_path / "a.npz", {**note, "size": size}, TRIALS)


class Bomb:
    """Bomb: runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("false",)


def _entry(name: str, content: bytes, kind: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def _header(shape: str, kind: str = "<f2") -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"text", "not a readable .npz file"),
        (pickle.dumps(Bomb()), "not a readable .npz file"),
        (_entry("average_precision.npy", _header("(9,)", "|O") + pickle.dumps(Bomb())), "is object, expected float16"),
        (_entry("people.npy", bytes(50_000_000), zipfile.ZIP_DEFLATED), "'people' is compressed"),
        (_entry("average_precision.npy", _header("(9000000000000,)")), "which its shape"),
        (_entry("average_precision.npy", _header("(0, 9000000000000)")), "are missing"),
        (_entry("../../x.npy", b""), "unknown array"),
        (b"PK\x05\x06" + bytes(18), "are missing"),
    ],
    ids=["text", "pickle", "pickled array", "compressed bomb", "huge header", "empty huge", "path", "no entries"],
)
def test_hostile_files_with_the_right_hash_are_refused(content: bytes, fault: str, tmp_path: Path) -> None:
    note = noted(tmp_path / "a.npz", content)
    with pytest.raises(UsageError, match=fault):
        read_sidecar(tmp_path / "a.npz", note, TRIALS)


def _with(name: str, change: Callable[[Any], Any]) -> Callable[[Arrays], Arrays]:
    return lambda arrays: {**arrays, name: change(arrays[name].copy())}


def _put(row: int, value: float) -> Callable[[Any], Any]:
    def change(array: Any) -> Any:
        array[row] = value
        return array

    return change


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (_with("average_precision", _put(0, np.nan)), "is NaN for other queries than first_match is 0"),
        (_with("average_precision", _put(1, 0.5)), "is NaN for other queries than first_match is 0"),
        (_with("average_precision", _put(0, np.inf)), "average_precision: not between 0 and 1"),
        (_with("average_precision", _put(0, -0.1)), "average_precision: not between 0 and 1"),
        (_with("average_precision", _put(0, 1.01)), "average_precision: not between 0 and 1"),
        (_with("average_precision", lambda a: a[:-1]), "average_precision has 31 values, expected 32"),
        (_with("average_precision", lambda a: a.reshape(2, -1)), "average_precision has 2 dimensions"),
        (_with("average_precision", lambda a: a.astype("f8")), "is float64, expected float16"),
        (_with("first_match", lambda a: a.astype("i8")), "is int64, expected uint8 or uint16 or uint32"),
        (_with("first_match", _put(0, 0)), "is NaN for other queries than first_match is 0"),
        (_with("people", lambda a: a + 1), "people of fold 2 have gaps"),
        (_with("people", lambda a: np.append(a, a[:1])), "people has 17 values, expected 16"),
        (_with("folds", lambda a: a[::-1]), "not ascending"),
        (_with("folds", lambda a: a[:0]), "not ascending"),
        (_with("folds", lambda a: a[:1]), "queries has 2 values for 1 folds"),
        (_with("queries", _put(0, 0)), "queries: a fold has no query"),
        (_with("queries", _put(0, 255)), "people has 16 values, expected 264"),
        (lambda arrays: {**arrays, "paths": np.array(["a"])}, "unknown array"),
        (lambda arrays: {name: a for name, a in arrays.items() if name != "people"}, "'people' is missing"),
        (
            lambda arrays: {
                **arrays,
                "first_match": arrays["first_match"] * 0,
                "average_precision": arrays["average_precision"] * np.nan,
            },
            "a trial of fold 2 has no valid query",
        ),
    ],
)
def test_impossible_values_with_the_right_hash_are_refused(
    change: Callable[[Arrays], Arrays], fault: str, arrays: Arrays, tmp_path: Path
) -> None:
    assert read_sidecar(tmp_path / "a.npz", noted(tmp_path / "a.npz", saved(arrays)), TRIALS)
    note = noted(tmp_path / "a.npz", saved(change(arrays)))
    with pytest.raises(UsageError, match=fault):
        read_sidecar(tmp_path / "a.npz", note, TRIALS)


def test_compressed_arrays_and_another_number_of_trials_are_refused(arrays: Arrays, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(UsageError, match="is compressed"):
        read_sidecar(path, noted(path, saved(arrays, np.savez_compressed)), TRIALS)
    with pytest.raises(UsageError, match="first_match has 32 values, expected 48"):
        read_sidecar(path, noted(path, saved(arrays)), TRIALS + 1)
