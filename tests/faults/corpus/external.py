"""Hostile weights and features of external models, given to ``evaluate``."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.faults.corpus.case import Case, Expect, command, require, tiny_people
from tests.faults.corpus.weights import CANARY, Trap

SIZE = ["data.height=32", "data.width=16", "engine.threads=1"]
SLOW = 60.0
"""Seconds of a case that is scored or builds a large network."""
ODD_TEXTS = (
    "",
    "..",
    "/etc/passwd",
    "../x.jpg",
    "a\x1b[2J",
    "x" * 5000,
    "\u202ea",
    "<script>alert(1)</script>",
    "a\\b",
)
ODD_ABOUT: tuple[Any, ...] = (None, 1, [], "x", {}, {"schema": 10**30}, {"schema": True}, [[[]]], {"\x1b[2J": 1})
Item = tuple[str, Callable[[], Any], Expect]
Arrays = dict[str, Any]


class NumpyTrap:
    """Object whose unpickling calls a function of NumPy with chosen arguments."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def cases(seed: int) -> Iterator[Case]:
    """Yield weights, features and options of the command ``evaluate`` that are damaged, dangerous or contradictory."""
    rng = np.random.default_rng(seed)
    for name, write, expect in _weights(rng):
        act = partial(_evaluate, "--weights", "w.pth", lambda write=write: torch.save(write(), "w.pth"), ())
        yield Case("external", f"weights: {name}", act, expect, ("w.pth",), limit=SLOW)
    for name, change, expect in _features(rng):
        act = partial(_evaluate, "--features", "f.npz", lambda change=change: np.savez("f.npz", **change()), ())
        yield Case("external", f"features: {name}", act, expect, ("f.npz",), limit=SLOW)
    for name, content in _archives(rng):
        for option, file in (("--weights", "w.pth"), ("--features", "f.npz")):
            write = partial(lambda file, content: Path(file).write_bytes(content), file, content)
            yield Case(
                "external",
                f"{option} {name}",
                partial(_evaluate, option, file, write, ()),
                "refused",
                (file,),
                limit=SLOW,
            )
    for words in _options():
        act = partial(_evaluate, "--weights", "w.pth", lambda: torch.save(_small(), "w.pth"), words)
        yield Case("external", f"options {' '.join(words)!r:.60}", act, "refused", limit=SLOW)


def _evaluate(option: str, file: str, write: Callable[[], Any], words: tuple[str, ...], folder: Path) -> int:
    torch.set_num_threads(1)
    write()
    size = SIZE if option == "--weights" else SIZE[2:]
    given = ["evaluate", option, file, "--protocol", "sysu_all", "--data", str(tiny_people()), "--device", "cpu"]
    status = command([*given, "--set", *size, *words])
    require(not (folder / CANARY).exists(), "code in the file was run")
    require(status == 0 or not Path("runs").exists(), "refused, but something was written")
    if status == 0:
        (path,) = Path("runs").rglob("record.json")
        require(command(["check", str(path)]) == 0, "its record is not consistent")
    return status


def _small() -> dict[str, torch.Tensor]:
    from usvi_bench.components.encoder.resnet_networks import SmallConfig
    from usvi_bench.components.encoder.two_stream import build_encoder

    return build_encoder(SmallConfig(width=8), 0).state_dict()


def _weights(rng: np.random.Generator) -> Iterator[Item]:
    from numpy._core import multiarray

    key = "trunk.layer1.0.conv1.weight"
    number = int(rng.integers(3, 9))
    yield "small encoder with a score of NumPy", lambda: {"state_dict": _small(), "mAP": np.float64(0.1)}, "accepted"
    yield "code beside weights", lambda: {"state_dict": _small(), "best_mAP": Trap()}, "refused"
    yield "code as weights", lambda: {"net": Trap()}, "refused"
    for name, trap in {
        "foreign memory as objects": NumpyTrap(multiarray.scalar, np.dtype("O,O"), np.arange(number)),
        "a large array": NumpyTrap(multiarray._reconstruct, np.ndarray, (10**14,), b"d"),
        "a type of code": NumpyTrap(np.dtype, "O"),
    }.items():
        yield f"NumPy: {name}", partial(lambda trap: {"state_dict": _small(), "cmc": trap}, trap), "either"
        yield f"NumPy: {name} as weights", partial(lambda trap: {"state_dict": {"a": trap}}, trap), "refused"
    yield "another function of NumPy", lambda: {"state_dict": _small(), "x": NumpyTrap(np.zeros, 3)}, "refused"
    for name, names in {
        "HIL": ("base.cls_token", "b1.0.norm1.weight", "bottlenecks.weight"),
        "torchvision": ("conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "fc.weight"),
        "another network": ("features.0.weight", "classifier.6.bias"),
        "a part of a release": ("visible_module.visible.conv1.weight", "NL_2.0.theta.weight"),
        "odd names": ("\x1b[2J", "a" * 5000, "\u202eb"),
    }.items():
        yield name, partial(lambda names: {"state_dict": {each: torch.ones(2, 2) for each in names}}, names), "refused"
    yield "a release with tensors of one number", _release_of_ones, "refused"
    changes: dict[str, Callable[[torch.Tensor], Any]] = {
        "NaN": lambda v: v * float("nan"),
        "int32": lambda v: v.int(),
        "10^12 numbers": lambda v: torch.zeros(1).expand(10**12),
        "no width": lambda v: v.sum(),
        "width 7": lambda v: v[:7],
        "width 4096": lambda v: torch.zeros(4096, 1, 1, 1),
        "huge values": lambda v: v * 1e38,
    }
    for name, change in changes.items():
        yield f"tensor: {name}", partial(lambda change: {**_small(), key: change(_small()[key])}, change), "refused"
    yield "a name missing", lambda: {name: value for name, value in _small().items() if name != key}, "refused"
    yield "no neck", lambda: {name: v for name, v in _small().items() if not name.startswith("neck")}, "refused"
    for fold in (2, "1", None, -1, 10**30):
        yield f"checkpoint of fold {fold!r}", partial(_checkpoint, fold), "refused"


def _release_of_ones() -> dict[str, Any]:
    from usvi_bench.components.encoder.known_containers import released_names

    return {"state_dict": {f"module.{name}": torch.ones(1, 1) for name in released_names(non_local=True)}}


def _checkpoint(fold: Any) -> dict[str, Any]:
    return {"format": 2, "models": {"student": _small()}, "optimiser": {}, "fold": fold, "data": "x", "key": "k"}


def _features(rng: np.random.Generator) -> Iterator[Item]:
    row = int(rng.integers(0, 40))
    _random_features()  # before the forks

    def put(name: str, value: Any) -> Callable[[], Arrays]:
        def make() -> Arrays:
            arrays = _arrays()
            values = arrays[name].astype("<U5000") if name == "paths" else arrays[name]
            values[row] = value
            return {**arrays, name: values}

        return make

    def change(name: str, by: Callable[[Any], Any]) -> Callable[[], Arrays]:
        return lambda: {**_arrays(), name: by(_arrays()[name])}

    yield "random features", _arrays, "accepted"
    yield "code in an array", change("about", lambda _: np.array(Trap(), dtype=object)), "refused"
    yield "code in the paths", change("paths", lambda v: np.array([Trap(), *v[1:]], dtype=object)), "refused"
    for value in (np.nan, np.inf, 0, 3e38):
        yield f"a row of {value}", put("features", value), "refused"
    for text in ODD_TEXTS:
        yield f"the path {text!r:.20}", put("paths", text), "refused"
    for about in ODD_ABOUT:
        yield f"about {about!r:.20}", change("about", lambda _, about=about: np.array(json.dumps(about))), "refused"
    yield "about that is no JSON", change("about", lambda _: np.array("{" * 2000)), "refused"
    yield "a lone surrogate in about", change("about", lambda _: np.array(["\ud800"])[0]), "refused"
    for name in ("features", "paths", "modality", "cameras", "identities"):
        yield f"{name} cut", change(name, lambda v: v[:-1]), "refused"
        yield f"{name} as complex", change(name, lambda v: np.zeros(len(v), complex)), "refused"
        yield (
            f"{name} missing",
            partial(lambda name: {k: v for k, v in _arrays().items() if k != name}, name),
            "refused",
        )
    yield "a row missing", lambda: {k: v if k == "about" else v[1:] for k, v in _arrays().items()}, "refused"
    yield (
        "a row twice",
        lambda: {k: v if k == "about" else v[[0, *range(len(v))]] for k, v in _arrays().items()},
        "refused",
    )
    yield "an unknown array", lambda: {**_arrays(), "\x1b[2J": np.zeros(1)}, "refused"
    yield "other modality", change("modality", lambda v: 1 - v), "refused"
    yield "other identities", change("identities", lambda v: v + 1), "refused"
    yield "boxes", lambda: {**_arrays(), "boxes": np.zeros((len(_arrays()["paths"]), 4), np.int32)}, "refused"


def _arrays() -> Arrays:
    """Return random features of the tiny people, which may be changed."""
    return {name: values.copy() for name, values in _random_features().items()}


@cache
def _random_features() -> Arrays:
    from usvi_bench.datasets.open import open_dataset

    dataset, _ = open_dataset("sysu", str(tiny_people()))
    split = dataset.test(1)
    tables = (split.visible, split.infrared)
    paths = [path for table in tables for path in table.paths]
    features = np.random.default_rng(0).standard_normal((len(paths), 8))
    return {
        "features": (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32),
        "paths": np.array(paths),
        "modality": np.repeat([0, 1], [len(table) for table in tables]).astype(np.uint8),
        "cameras": np.concatenate([table.cameras for table in tables]),
        "identities": np.concatenate([table.identities for table in tables]),
        "about": np.array(json.dumps({"schema": 1, "feature": "mine", "similarity": "dot"})),
    }


def _archives(rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    file = io.BytesIO()
    np.savez(file, features=rng.standard_normal((40, 8)))
    whole = file.getvalue()
    at = int(rng.integers(100, len(whole) - 100))
    yield "empty", b""
    yield "text", b"weights " * 50
    yield "random bytes", rng.bytes(3000)
    yield "cut", whole[:at]
    yield "a flipped bit", whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
    for name, compression, content in (
        ("bomb", zipfile.ZIP_DEFLATED, bytes(50_000_000)),
        ("header of 10^12 rows", zipfile.ZIP_STORED, _header((10**12, 8)) + bytes(8)),
        ("header of -1 rows", zipfile.ZIP_STORED, _header((-1, -8)) + bytes(32)),
    ):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", compression) as archive:
            archive.writestr("features.npy", content)
        yield name, file.getvalue()


def _header(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return file.getvalue()


def _options() -> Iterator[tuple[str, ...]]:
    yield from (("--fold", fold) for fold in ("99", "-1", "x", "9" * 50))
    yield from (("--claims", text) for text in ("", "a\nb", "\x1b[2J", "x" * 5000))
    yield from (("--weights", path) for path in ("/dev/zero", "/etc", "nowhere", "", "x" * 5000, "a\0b"))
    yield from (("--protocol", name) for name in ("", "external", "regdb_v2i", "../x"))
    yield from (
        ("--set", word) for word in ("train.lr=1", "data.height=0", "data.folds=1", "encoder.width=9", "x=", "=1")
    )
    yield ("--features", "f.npz")
    yield ("--output", "w.pth")
