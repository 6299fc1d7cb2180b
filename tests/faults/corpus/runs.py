"""Hostile run folders, given to ``report``: journals, evaluations and query scores with right checksums."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.corpus.case import Case, command, require

ODD: tuple[Any, ...] = (
    *(None, True, -1, 10**30, 1e308, "", "x", [], [1], {}, {"a": 1}, "<script>alert(1)</script>", "\x1b[2J", "../../x"),
)
LEAVES = 24
"""Number of fields of the journal that are replaced."""
ARRAYS = 30
"""Number of arrays of the evaluation that are replaced."""
Damage = Callable[[Path], object]


def cases(seed: int) -> Iterator[Case]:
    """Yield run folders with one hostile file each."""
    rng = np.random.default_rng(seed)
    for name, damage in [*_journals(rng), *_evaluations(rng), *_files()]:
        names = ("journal", "evaluation", "queries", "record", "run")
        yield Case("runs", f"report: {name}", partial(_report, damage), "either", names, limit=60)


def _report(damage: Damage, folder: Path) -> int:
    from tests.reports.fake_run import make_run

    run = make_run(folder, pictures=False, lean=True)
    damage(run)
    status = command(["report", str(run)])
    for path in (run / "report").rglob("*.md") if status == 0 else ():
        text = path.read_text()
        require("\x1b" not in text, "the report holds an escape sequence")
    return status


def _journals(rng: np.random.Generator) -> Iterator[tuple[str, Damage]]:
    from tests.faults.corpus.records import _leaves, _replaced
    from tests.reports.fake_run import two_stages

    lines = two_stages()
    paths = list(_leaves(lines))
    for _ in range(LEAVES):
        path, value = paths[rng.integers(len(paths))], ODD[rng.integers(len(ODD))]
        name = f"journal {'.'.join(map(str, path))}={value!r:.20}"
        yield name, partial(_with_journal, _replaced(lines, path, value))
    yield "journal of numbers", partial(_with_journal, [{"kind": "epoch"}])
    yield "journal of unknown kinds", partial(_with_journal, [{"kind": "other"}])
    yield "journal without kinds", partial(_with_journal, [{}])
    yield "journal of an epoch twice", partial(_with_journal, lines[:1] * 2)
    yield "journal cut", lambda run: _with_journal(lines, run) or _cut(run / "journal.jsonl")


def _with_journal(lines: Any, run: Path) -> None:
    from usvi_bench.core.journal import Journal

    Journal(run / "journal.jsonl").replace([line if isinstance(line, dict) else {"x": line} for line in lines])


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


def _evaluations(rng: np.random.Generator) -> Iterator[tuple[str, Damage]]:
    changes: dict[str, Callable[[Any], Any]] = {
        "empty": lambda a: a[:0] if a.ndim else a,
        "too short": lambda a: a[:-1] if a.ndim else a,
        "NaN": lambda a: np.full(a.shape, np.nan),
        "-1": lambda a: np.full(a.shape, -1),
        "10**18": lambda a: np.full(a.shape, 10**18),
        "equal": lambda a: np.full_like(a, a.ravel()[0]) if a.size else a,
        "text": lambda a: np.full(a.shape, "x\x1b[2J"),
        "0-d": lambda a: np.array(3),
        "4-d": lambda a: np.zeros((1, 1, 1, 1)),
        "complex": lambda a: np.full(a.shape, 1j),
        "objects": lambda a: np.array([{}], object),
        "absent": lambda a: None,
    }
    arrays = ("order", "scores", "matches", "average_precision", "identities", "infrared", "after", "before")
    arrays += ("query_paths", "gallery_paths", "query_identities", "gallery_cameras", "query_root", "sample_paths")
    arrays += ("query_modality", "sample_cameras")
    for _ in range(ARRAYS):
        array, change = str(rng.choice(arrays)), str(rng.choice([*changes]))
        yield f"evaluation {array} {change}", partial(_with_array, array, changes[change])


def _with_array(name: str, change: Callable[[Any], Any], run: Path) -> None:
    from usvi_bench.core.sealed import write_sealed

    path = run / "evaluation.npz"
    with np.load(path) as found:
        arrays = dict(found)
    if (changed := change(arrays[name])) is None:
        del arrays[name]
    else:
        arrays[name] = changed
    write_sealed(path, lambda file: np.savez(file, **arrays))


def _files() -> Iterator[tuple[str, Damage]]:
    from usvi_bench.core.sealed import write_sealed

    def sealed(name: str, content: bytes) -> Damage:
        return lambda run: write_sealed(run / name, lambda file: file.write(content) and None)

    for name in ("evaluation.npz", "queries.npz"):
        yield f"{name} of sealed text", sealed(name, b"text")
        yield f"{name} of a sealed archive without entries", sealed(name, b"PK\x05\x06" + bytes(18))
        yield f"{name} empty", lambda run, name=name: (run / name).write_bytes(b"")
        yield f"{name} is a folder", lambda run, name=name: _instead(run / name, Path.mkdir)
        yield f"{name} is /dev/zero", lambda run, name=name: _instead(run / name, lambda p: p.symlink_to("/dev/zero"))
        yield f"{name} is a FIFO", lambda run, name=name: _instead(run / name, os.mkfifo)
    yield "journal is a folder", lambda run: _instead(run / "journal.jsonl", Path.mkdir)
    yield "journal is a FIFO", lambda run: _instead(run / "journal.jsonl", os.mkfifo)
    yield "journal is /dev/zero", lambda run: _instead(run / "journal.jsonl", lambda p: p.symlink_to("/dev/zero"))
    yield "journal of bytes", lambda run: (run / "journal.jsonl").write_bytes(b"\xff\n")
    yield "journal nested", lambda run: (run / "journal.jsonl").write_bytes(b"[" * 100_000 + b"\n")
    yield "report is a file", lambda run: (run / "report").write_text("x")
    yield "report is a link to itself", lambda run: (run / "report").symlink_to("report")


def _instead(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink(missing_ok=True)
    make(path)
