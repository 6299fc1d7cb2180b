"""Hostile settings, schedules and grids; every check comes before any work."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.corpus.case import Case, Expect, call, command, require, tiny_people

TEXTS = (
    *("nan", "inf", "-inf", "1e308", "-1e308", "1e999", "1e-320", str(10**30), str(-(10**30)), "9" * 5000),
    *("-1", "0", "-0.5", "0.5", "", " ", "abc", "None", "none", "true", "[]", "[1,2]", "1,2", ",", "{}", "{'a': 1}"),
    *("\x1b[2J", "\x00", "\u0663", "1_000", "0x10", "1+1j", "../..", "__import__('os')", "x" * 5000, "sync", "é"),
)
VALUES: tuple[Any, ...] = (
    *(math.nan, math.inf, 1e308, 10**30, -1, 0, True, None, "", "abc", b"1", [], [1], [[1]], (), {}, {"a": {}}),
    *(object(), print, np.float64(np.nan), np.arange(3), np.array("a"), 1j, Path("x"), range(3), {1}),
)
SAMPLE = 170
"""Number of pairs of a setting and a value that are tried."""
FULL = "\u0663"


def cases(seed: int) -> Iterator[Case]:
    """Yield settings of all methods with odd values, then odd names, typed values, schedules and grids."""
    rng = np.random.default_rng(seed)
    pairs = [(method, key) for method, keys in _settings().items() for key in keys]
    for row in rng.permutation(len(pairs))[:SAMPLE]:
        method, key = pairs[row]
        text = str(rng.choice(np.array(TEXTS, dtype=object)))
        name = f"{method} {key}={text!r:.20}"
        yield Case("settings", name, partial(_set, method, [f"{key}={text}"]), "either", (key, "--set", "unknown"))
        value = VALUES[rng.integers(len(VALUES))]
        name = f"{method} {key}={value!r:.20} (Python)"
        yield Case("settings", name, partial(_typed, method, {key: value}), "either", (key, "unknown"))
    for word in _words():
        yield Case("settings", f"--set {word!r:.30}", partial(_set, "pgm", [word]), "refused")
    for option, texts in _options().items():
        for text in texts:
            yield Case("settings", f"{option} {text!r:.20}", partial(_option, option, text), "refused", (option[2:],))
    for name, content, expect in _files():
        case = Case("schedules", name, partial(_schedule, content), expect, ("own.py",))
        yield case
        grid: Expect = "refused" if expect == "accepted" else expect
        yield Case("grids", name, partial(_grid, content), grid, ("own.py", "--grid"))
    for name, text in _rows().items():
        expected: Expect = "either" if name == "two equal rows" else "refused"
        yield Case("grids", name, partial(_grid, text.encode()), expected, ("own.py", "--grid", "method.", "setting"))
    for name in ("", ".", "..", "../shared/sysu", "/etc/passwd", "QUICK", "quick.py", "x" * 5000, "\x1b[2J", "a\nb"):
        words = ["--schedule", name]
        yield Case("schedules", f"--schedule {name!r:.20}", partial(_run, words), "refused", ("schedule", "settings"))


def _settings() -> dict[str, list[str]]:
    """Return the settings of each method; those that all methods share are listed once."""
    from usvi_bench.core.registry import METHODS
    from usvi_bench.core.settings import flatten
    from usvi_bench.engine.load_config import load_config

    found = dict[str, list[str]]()
    seen = set[str]()
    for method in METHODS.names():
        keys = flatten(load_config(method, "sysu_all", profile="synthetic_sysu").settings())
        found[method] = [key for key in keys if key.startswith("method.") or key not in seen]
        seen |= set(keys)
    return found


def _run(words: list[str], _: Path, method: str = "pgm") -> int:
    start = ["--method", method, "--protocol", "sysu_all", "--data", str(tiny_people()), "--device", "cpu"]
    return command([*start, *words], _finite)


def _set(method: str, words: list[str], folder: Path) -> int:
    return _run(["--set", *words], folder, method)


def _option(option: str, text: str, folder: Path) -> int:
    return _run([f"{option}={text}"], folder)


def _typed(method: str, settings: dict[str, Any], _: Path) -> int:
    from usvi_bench.engine.experiment import Experiment

    experiment = Experiment(method, "sysu_all", str(tiny_people()), settings=settings, device="cpu")
    return call(lambda: _finite(experiment.prepare()))


def _finite(run: Any) -> None:
    from usvi_bench.core.settings import flatten

    for name, value in flatten(run.config.settings()).items():
        require(not isinstance(value, float) or math.isfinite(value), f"{name}={value} is accepted")
        require(isinstance(value, (bool, int, float, str, list, tuple, type(None))), f"{name}={value!r} is accepted")
    _ = run.folder


def _words() -> tuple[str, ...]:
    return (
        *("", "=", "=1", "train.epochs", "train.epoch=1", "train=1", "method=pgm", "method.eps.x=1", "a.b.c.d=1"),
        *("__class__=1", "method.__init__=1", "train.epochs.=1", ".=1", "..=1", "train.epochs =x", "TRAIN.EPOCHS=1"),
        *(
            "x" * 5000 + "=1",
            "." * 5000 + "=1",
            "\x1b[2J=1",
            "encoder=small",
            "encoder.bn=groups=x",
            "seed=1",
            "a\nb=1",
        ),
    )


def _options() -> dict[str, tuple[str, ...]]:
    return {
        "--seed": ("x", "1.5", "nan", "", "9" * 5000),
        "--method": ("", "nowhere", "\x1b[2J", "x" * 5000, "pgm,hil", "../methods/pgm"),
        "--protocol": ("", "sysu", "\x1b[2J", "x" * 5000),
        "--setting": ("", "papers", "..", "\x1b[2J", "x" * 5000),
        "--device": ("", "gpu", "cuda:9"),
        "--output": ("/dev/null", "/dev/null/x", "x" * 5000, "\x00"),
    }


def _files() -> Iterator[tuple[str, bytes, Expect]]:
    yield "syntax error", b"train = {", "refused"
    yield "raises", b"raise ValueError('a\\nb\\nc\\nd')", "refused"
    yield "raises SystemExit", b"raise SystemExit(0)", "refused"
    yield "calls exit", b"import sys; sys.exit('bye')", "refused"
    yield "raises RecursionError", b"def f(): f()\nf()", "refused"
    yield "raises with escape sequences", b"raise ValueError('\\x1b[2J')", "refused"
    yield "imports nothing", b"import nowhere_at_all", "refused"
    yield "NUL", b"train = {}\x00", "refused"
    yield "not UTF-8", b"# \xff\ntrain = {}", "refused"
    yield "binary", bytes(range(256)), "refused"
    yield "no Python", b"epochs: 3\n\n- a", "refused"
    yield "missing base", b"_base_ = 'nowhere.py'", "refused"
    yield "its own base", b"_base_ = 'own.py'", "refused"
    yield "base is a number", b"_base_ = 3", "refused"
    yield "deeply nested", b"train = " + b"[" * 5000 + b"]" * 5000, "refused"
    yield "a number as a group", b"train = 3", "refused"
    yield "a list as a group", b"train = [1]", "refused"
    yield "unknown group", b"trains = {}", "refused"
    yield "unknown setting", b"train = dict(epoch=3)", "refused"
    yield "NaN", b"train = dict(lr=float('nan'))", "refused"
    yield "text as a number", b"train = dict(epochs='many')", "refused"
    yield "function as a number", b"train = dict(epochs=print)", "refused"
    yield "huge number", b"train = dict(epochs=10**5000)", "refused"
    yield "method as a number", b"method = 3", "refused"
    yield "encoder as a number", b"encoder = 3", "refused"
    yield "unknown encoder", b"encoder = dict(name='nowhere')", "refused"
    yield "empty", b"", "either"
    yield "right", b"train = dict(epochs=2)", "accepted"


def _rows() -> dict[str, str]:
    return {
        "rows are a list": "rows = [1]",
        "rows are empty": "rows = {}",
        "a row is a number": "rows = {'a': 3}",
        "a name is a number": "rows = {3: {}}",
        "a name is empty": "rows = {'': {'method': {'eps': 0.4}}}",
        "a name with a new line": "rows = {'a\\nb': {'method': {'eps': 0.4}}}",
        "a name with an escape sequence": "rows = {'\\x1b[2J': {'method': {'eps': 0.4}}}",
        "unknown setting": "rows = {'a': {'method': {'epps': 0.4}}}",
        "NaN": "rows = {'a': {'method': {'eps': float('nan')}}}",
        "function": "rows = {'a': {'method': {'eps': print}}}",
        "class": "class A: pass\nrows = {'a': {'method': {'eps': A()}}}",
        "nested": "rows = {'a': {'method': {'eps': {'b': 1}}}}",
        "list": "rows = {'a': {'method': {'eps': [1, 2]}}}",
        "settings with a number as a name": "rows = {'a': {3: 4}}",
        "two equal rows": "rows = {'a': {'method': {'eps': 0.4}}, 'b': {'method': {'eps': 0.4}}}",
        "huge number": "rows = {'a': {'method': {'eps': 10**400}}}",
    }


def _schedule(content: bytes, folder: Path) -> int:
    for name in ("own.py", "own.py.py"):  # with an ending, or without
        (folder / name).write_bytes(content)
    return _run(["--schedule", str(folder / "own.py")], folder)


def _grid(content: bytes, folder: Path) -> int:
    (folder / "own.py").write_bytes(content)
    start = ["ablation", "--method", "pgm", "--protocol", "sysu_all", "--data", str(tiny_people()), "--device", "cpu"]
    return command([*start, "--grid", "own.py", "--dry-run", "--seeds", "1"])
