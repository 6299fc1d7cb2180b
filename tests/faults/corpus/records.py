"""Hostile records and published figures, checked and made into pages as the leaderboard does."""

from __future__ import annotations

import copy
import csv
import io
import json
import math
import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.corpus.case import Case, Expect, call, command, require

LEADERBOARD = Path(__file__).resolve().parents[3] / "leaderboard"
ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 10**30, 1e308, -0.5, 2**63, "", "nan", "x" * 3000, [], [1], {}, {"a": 1}, [[]], {"": None}),
    *("<script>alert(1)</script>", "a|b\n# c", "\x1b[2J", "\u202e", "](javascript:alert(1))", "../../etc/passwd", "`"),
)
SAMPLE = 150
"""Number of leaves of a record that are replaced."""
CELLS = 60
"""Number of cells of the published figures that are replaced."""


def cases(seed: int) -> Iterator[Case]:
    """Yield records with one field replaced, records that are no JSON, and published figures with one cell replaced."""
    rng = np.random.default_rng(seed)
    files = sorted((LEADERBOARD / "records").rglob("*.json"))
    for number in range(SAMPLE):
        file = files[rng.integers(len(files))]
        record = _alone(file)
        leaves = list(_leaves(record))
        path = leaves[rng.integers(len(leaves))]
        value = ODD[rng.integers(len(ODD))]
        name = f"{'.'.join(map(str, path))}={value!r:.20}"
        changed = _replaced(record, path, value)
        yield Case("records", name, partial(_check, _sealed(changed)), "either", remedy=False)
        if number % 10 == 0:
            wrong = json.dumps({**changed, "digest": "0" * 64}).encode()
            yield Case("records", f"{name}, with a wrong digest", partial(_check, wrong), "refused", ("record.json",))
    base = _alone(files[int(rng.integers(len(files)))])
    for name, change in _lies().items():
        changed = copy.deepcopy(base)
        change(changed)
        yield Case("records", f"lie: {name}", partial(_check, _sealed(changed)), "refused", remedy=False)
    for name, content in _no_json(base).items():
        yield Case("records", name, partial(_check, content), "refused", ("record.json",))
    for name, make in _no_files().items():
        yield Case("records", name, partial(_check_file, make), "refused", ("record.json",))
    yield from _published(rng)


def _alone(file: Path) -> Any:
    """Return the content of a record without its digest, and without its queries, whose file would be missing."""
    record = json.loads(file.read_text())
    del record["digest"]
    record["result"].pop("queries", None)
    return record


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value, groups included."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _leaves(inner, (*path, key))


def _replaced(record: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(record)
    _at(changed, path[:-1])[path[-1]] = value
    return changed


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _sealed(record: Any, rehash: bool = True) -> bytes:
    """Return the file of a record with a right digest and, if it can be computed, a right hash of its settings."""
    from usvi_bench.core.settings import config_hash, digest

    try:
        result = record["result"]
        start = result["start_weights"]["sha256"] or "random"
        names = {name: result[name] for name in ("method", "protocol", "setting")}
        if rehash and isinstance(result["config_hash"], str) and len(result["config_hash"]) < 100:
            result["config_hash"] = config_hash(result["config"], start=start, number=result["format"], **names)
    except Exception:  # then the hash stays as it is
        pass
    return json.dumps({**record, "digest": digest(record)}).encode()


def _check(content: bytes, folder: Path) -> int:
    (folder / "record.json").write_bytes(content)
    status = command(["check", "record.json"])
    if status == 0:
        from usvi_bench.leaderboard.__main__ import make_pages

        (folder / "records").mkdir()
        (folder / "record.json").rename(folder / "records/record.json")

        def pages() -> None:
            for name, text in make_pages(folder / "records", [], folder).items():
                require(not re.search(r"(?<!\\)<script", text), f"{name} holds a script")
                require("\x1b" not in text, f"{name} holds an escape sequence")
                require(not re.search(r"(?<!\\)\]\(javascript:", text), f"{name} holds a link that runs code")

        status = call(pages)
        require(status == 0, "consistent for 'check', but refused by the leaderboard")
    return status


def _check_file(make: Callable[[Path], object], folder: Path) -> int:
    make(folder / "record.json")
    return command(["check", "record.json"])


def _lies() -> dict[str, Callable[[Any], object]]:
    def set_in(part: str, **values: Any) -> Callable[[Any], object]:
        return lambda record: record[part].update(values)

    def scores(**values: Any) -> Callable[[Any], object]:
        return lambda record: record["result"]["scores"][0]["metrics"].update(values)

    return {
        "finished in 2099": set_in("provenance", finished="2099-01-01T00:00:00+00:00"),
        "finished in 1970": set_in("provenance", finished="1970-01-01T00:00:00+00:00"),
        "finished at no time": set_in("provenance", finished="yesterday"),
        "negative seconds": lambda record: record["provenance"]["seconds"].update(train=-1.0),
        "no seconds": set_in("provenance", seconds={}),
        "negative memory": set_in("provenance", peak_memory_mib=-1.0),
        "no threads": set_in("provenance", threads=0),
        "a commit of text": set_in("provenance", commit="latest"),
        "negative seed": set_in("result", seed=-1),
        "unknown method": set_in("result", method="nowhere"),
        "unknown protocol": set_in("result", protocol="nowhere"),
        "a fold too many": set_in("result", folds=[1, 2, 3]),
        "100,000 folds": set_in("result", folds=[*range(1, 100_001)]),
        "100,000 folds in the settings": lambda record: record["result"]["config"]["data"].update(
            folds=[*range(1, 100_001)]
        ),
        "a journal of -5 bytes": set_in("provenance", journal={"length": -5, "chain": ""}),
        "a schedule of 3,000 letters": set_in("provenance", overrides={"settings": {}, "schedule": "x" * 3000}),
        "a setting of 3,000 letters": set_in("result", setting="x" * 3000),
        "no scores": set_in("result", scores=[]),
        "other number of trials": set_in("result", trials=3),
        "no chance": set_in("result", chance={}),
        "chance of 1": set_in("result", chance=dict.fromkeys(("R1", "R5", "R10", "R20", "mAP", "mINP"), 1.0)),
        "mAP above Rank-1's reach": scores(R1=0.0, mAP=1.0),
        "falling CMC": scores(R1=0.9, R5=0.1),
        "mINP above mAP": scores(mINP=1.0),
        "mAP of 2": scores(mAP=2.0),
        "headline of no score": lambda record: record["result"]["headline"].update(model="oracle"),
        "true identities hidden": lambda record: record["result"].update(
            uses_identities=not record["result"]["uses_identities"]
        ),
        "another fingerprint": lambda record: record["result"]["dataset"].update(fingerprint="x"),
        "another data set": lambda record: record["result"]["dataset"].update(name="regdb9"),
        "unknown setting": lambda record: record["result"]["config"]["method"].update(epps=0.3),
        "group of settings missing": lambda record: record["result"]["config"].pop("train"),
        "hash of text": lambda record: record["result"].update(config_hash="x" * 200),
    }


def _no_json(base: Any) -> dict[str, bytes]:
    text = json.dumps({**base, "digest": "0" * 64})
    deep = base
    for _ in range(300):
        deep = {"a": deep}
    return {
        "empty": b"",
        "cut": text[: len(text) // 2].encode(),
        "nested 100,000 times": b"[" * 100_000,
        "nested 100,000 times within": text.replace(
            '"provenance": {', '"provenance": {"a": ' + "[" * 100_000, 1
        ).encode(),
        "a list": b"[]",
        "a number": b"3",
        "null": b"null",
        "an empty object": b"{}",
        "NaN": text.replace('"seed": ', '"seed": NaN, "x": ', 1).encode(),
        "Infinity": text.replace('"seed": ', '"seed": -Infinity, "x": ', 1).encode(),
        "1e999": text.replace('"seed": ', '"seed": 1e999, "x": ', 1).encode(),
        "number of 5,000 digits": text.replace('"seed": ', '"seed": ' + "9" * 5000 + ', "x": ', 1).encode(),
        "repeated key": text.replace('"seed": ', '"seed": 1, "seed": ', 1).encode(),
        "BOM": b"\xef\xbb\xbf" + text.encode(),
        "UTF-16": text.encode("utf-16"),
        "not UTF-8": b"\xff" + text.encode(),
        "NUL": bytes(100),
        "lone surrogate": text.replace('"finished": "', '"finished": "\\ud800', 1).encode(),
        "wrapped 300 times": json.dumps(deep).encode(),
        "schema of text": _sealed({**base, "schema": "2"}),
        "schema of truth": _sealed({**base, "schema": True}),
        "schema of the future": _sealed({**base, "schema": 10**20}),
        "digest of null": json.dumps({**base, "digest": None}).encode(),
        "digest of a list": json.dumps({**base, "digest": []}).encode(),
        "no digest": json.dumps(base).encode(),
        "unknown field": _sealed({**base, "x": 1}),
        "unknown field of the result": _sealed({**base, "result": {**base["result"], "x": 1}}),
        "no result": _sealed({key: value for key, value in base.items() if key != "result"}),
        "no provenance": _sealed({key: value for key, value in base.items() if key != "provenance"}),
    }


def _no_files() -> dict[str, Callable[[Path], object]]:
    return {
        "a FIFO": os.mkfifo,
        "/dev/zero": lambda path: path.symlink_to("/dev/zero"),
        "a link to itself": lambda path: path.symlink_to(path),
        "a folder": lambda path: path.mkdir(),
        "nothing": lambda path: None,
    }


def _published(rng: np.random.Generator) -> Iterator[Case]:
    rows = list(csv.reader((LEADERBOARD / "published.csv").open(encoding="utf-8", newline="")))
    cells = (
        "",
        "nan",
        "inf",
        "-1",
        "101",
        "1e999",
        "x",
        "<script>",
        "a|b",
        "a\nb",
        "\x1b[2J",
        "9" * 400,
        "\u0663",
        " 40.1 ",
    )
    for _ in range(CELLS):
        row, column = int(rng.integers(1, len(rows))), int(rng.integers(len(rows[0])))
        value = str(rng.choice(np.array(cells, dtype=object)))
        changed = [list(each) for each in rows]
        changed[row][column] = value
        name = f"{rows[0][column]}={value!r:.20}"
        yield Case(
            "published",
            name,
            partial(_read_published, _as_csv(changed)),
            "either",
            ("line", "published.csv"),
            remedy=False,
        )
    whole = _as_csv(rows)
    odd: dict[str, tuple[bytes, Expect]] = {
        "empty": (b"", "refused"),
        "only the header": (_as_csv(rows[:1]), "accepted"),
        "other columns": (_as_csv([rows[0][::-1], *rows[1:]]), "refused"),
        "a line too short": (_as_csv([*rows, rows[-1][:4]]), "refused"),
        "a line too long": (_as_csv([*rows, [*rows[-1], "x"]]), "refused"),
        "a line twice": (_as_csv([*rows, rows[-1]]), "refused"),
        "NUL": (whole + bytes(10), "refused"),
        "not UTF-8": (whole + b"\xff", "refused"),
        "UTF-16": (whole.decode().encode("utf-16"), "refused"),
        "BOM": (b"\xef\xbb\xbf" + whole, "either"),
        "an open quote": (whole + b'"', "refused"),
        "a field of 10 MB": (whole + b"x" * 10_000_000, "refused"),
        "CRLF": (whole.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), "accepted"),
        "semicolons": (whole.replace(b",", b";"), "refused"),
    }
    for name, (content, expect) in odd.items():
        yield Case("published", name, partial(_read_published, content), expect, ("published.csv",))


def _as_csv(rows: list[list[str]]) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()


def _read_published(content: bytes, folder: Path) -> int:
    from usvi_bench.leaderboard.published import choose, read_figures
    from usvi_bench.leaderboard.published_page import build_published

    (folder / "published.csv").write_bytes(content)

    def read() -> None:
        figures = read_figures(folder / "published.csv")
        for figure in figures:
            values = [figure.value(name) for name in figure.metrics]
            require(
                all(math.isfinite(value) and 0 <= value <= 100 for value in values if value is not None), str(values)
            )
        text = build_published(choose(figures), [])
        require(not re.search(r"(?<!\\)<script|\x1b", text), "the page holds a script or an escape sequence")

    return call(read)
