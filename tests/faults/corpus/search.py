"""Hostile features, pictures, folders and exported models, given to ``embed``, ``search`` and ``cluster``."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tests.faults.corpus.case import Case, Expect, command, require
from tests.faults.corpus.external import ODD_ABOUT, ODD_TEXTS, SIZE, SLOW, _small
from tests.faults.corpus.weights import CANARY

ABOUT = {"schema": 1, "feature": "bn+flip", "similarity": "dot"}
PAYLOAD = "<script>alert(1)</script> {{ 7 * 7 }} [red]=1.jpg"
Write = Callable[[], Any]


def cases(seed: int) -> Iterator[Case]:
    """Yield features, pictures, folders and ONNX files that are damaged, dangerous or contradictory."""
    rng = np.random.default_rng(seed)
    for name, write, expect in _features(rng):
        words = ["cluster", "f.npz", "--output", "out", "--data", "data", "--set", "method.k1=3", "method.k2=2"]
        yield Case("search", f"cluster {name}", partial(_try, write, words), expect, limit=SLOW)
    for name, write, expect in _galleries():
        words = ["search", "data/a.png", "--modality", "visible", "--gallery", "f.npz", *_model("w.pth")]
        yield Case("search", f"search {name}", partial(_try, write, [*words, "--output", "out"]), expect, limit=SLOW)
    for name, write, expect in _folders(rng):
        words = ["embed", "data", "--modality", "infrared", *_model("w.pth"), "--output", "out.npz"]
        yield Case("search", f"embed {name}", partial(_try, write, words), expect, limit=SLOW)
    for name, write in _exported(rng):
        words = ["embed", "data", "--modality", "visible", "--model", "onnx", "--output", "out.npz"]
        yield Case("search", f"model {name}", partial(_try, write, words), "refused", limit=SLOW)


def _model(name: str) -> list[str]:
    return ["--model", name, "--device", "cpu", "--set", *SIZE]


def _try(write: Write, words: list[str], folder: Path) -> int:
    torch.set_num_threads(1)
    torch.save(_small(), "w.pth")
    for name in ("a.png", "b.png", "sub/c.png", "d.png"):
        (folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 40), "red").save(folder / "data" / name)
    write()
    status = command(words)
    written = [path for name in ("out", "out.npz") if (path := folder / name).exists()]
    require(not (folder / CANARY).exists(), "code in a file was run")
    require(bool(written) == (status == 0), "refused, but something was written, or accepted without a result")
    for page in folder.glob("out/index.html"):
        text = page.read_text(encoding="utf-8")
        require("<script" not in text, "a name became a script")
        require("49" not in text, "a name became a template")
    for path in (folder / "out").rglob("*"):
        require(path.resolve().is_relative_to(folder), "a link leads out of the folder")
    return status


def _write(**changes: Any) -> None:
    """Write random features of the four pictures, with some arrays replaced."""
    features = np.random.default_rng(0).standard_normal((4, 8))
    arrays = {
        "features": (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32),
        "paths": np.array(["a.png", "b.png", "d.png", "sub/c.png"]),
        "modality": np.zeros(4, np.uint8),
        "cameras": np.full(4, -1),
        "identities": np.full(4, -1),
        "about": np.array(json.dumps(ABOUT)),
    }
    np.savez("f.npz", **{**arrays, **changes})


def _features(rng: np.random.Generator) -> Iterator[tuple[str, Write, Expect]]:
    def link() -> None:
        _write(paths=np.array(["a.png", "b.png", "d.png", "link.png"]))
        Path("data/link.png").symlink_to("/etc/passwd")

    def pipe() -> None:
        _write(paths=np.array(["a.png", "b.png", "d.png", "pipe.png"]))
        os.mkfifo("data/pipe.png")

    yield "four features", _write, "accepted"
    for text in ODD_TEXTS:
        yield f"the path {text!r:.20}", partial(_write, paths=np.array(["a.png", "b.png", "d.png", text])), "refused"
    yield "a link out of the folder", link, "refused"
    yield "a pipe", pipe, "refused"
    yield "a picture that is missing", partial(_write, paths=np.array(["a.png", "b.png", "d.png", "e.png"])), "refused"
    yield "random bytes", partial(Path("f.npz").write_bytes, rng.bytes(2000)), "refused"
    yield "features without dimensions", partial(_write, features=np.zeros((4, 0), np.float32)), "refused"


def _galleries() -> Iterator[tuple[str, Write, Expect]]:
    def embed(**changes: Any) -> None:
        require(
            command(["embed", "data", "--modality", "visible", *_model("w.pth"), "--output", "f.npz"]) == 0,
            "no features",
        )
        with np.load("f.npz") as file:
            arrays = dict(file)
        if "about" in changes:
            changes["about"] = np.array(json.dumps({**json.loads(str(arrays["about"])), **changes["about"]}))
        np.savez("f.npz", **{**arrays, **changes})

    yield "own features", embed, "accepted"
    yield "a path with markup", partial(embed, paths=np.array(["a.png", "b.png", "d.png", PAYLOAD])), "accepted"
    yield "features of no stated weights", _write, "refused"
    for name, value in (("weights_sha256", "0" * 64), ("height", 33), ("width", 10**30), ("filter", "\x1b[2J")):
        yield f"another {name}", partial(embed, about={name: value}), "refused"
    for about in ODD_ABOUT:
        yield f"about {about!r:.20}", partial(_write, about=np.array(json.dumps(about))), "refused"


def _folders(rng: np.random.Generator) -> Iterator[tuple[str, Write, Expect]]:
    yield "four pictures", lambda: None, "accepted"
    yield "no picture", lambda: shutil.rmtree("data"), "refused"
    yield "a linked folder", lambda: Path("data/more").symlink_to("/"), "accepted"
    yield "a folder that links to itself", lambda: Path("data/more").symlink_to("."), "accepted"
    yield "a pipe named like a picture", lambda: os.mkfifo("data/x.png"), "refused"
    yield "a folder named like a picture", lambda: Path("data/x.png").mkdir(), "refused"
    yield "random bytes", partial(Path("data/x.png").write_bytes, rng.bytes(500)), "refused"
    yield (
        "PostScript",
        partial(Path("data/x.png").write_bytes, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        "refused",
    )
    yield "a name that cannot be printed", lambda: shutil.copy("data/a.png", "data/x\x1b[2J.png"), "refused"
    yield "a name that is not UTF-8", lambda: shutil.copy(b"data/a.png", b"data/x\xff.png"), "refused"
    yield "a folder that cannot be printed", lambda: shutil.copytree("data/sub", "data/x\x1b[2J"), "refused"


def _exported(rng: np.random.Generator) -> Iterator[tuple[str, Write]]:
    def folder(about: Any, content: bytes) -> None:
        Path("onnx").mkdir()
        if isinstance(about, dict):
            about = {**about, "files": about.get("files", {"visible.onnx": hashlib.sha256(content).hexdigest()})}
        Path("onnx/about.json").write_text(json.dumps(about))
        Path("onnx/visible.onnx").write_bytes(content)

    whole = {**ABOUT, "weights_sha256": "0" * 64, "height": 32, "width": 16, "filter": "lanczos"}
    for name, content in (("empty", b""), ("random bytes", rng.bytes(500)), ("text", b"x = 1\n" * 50)):
        yield f"of {name}", partial(folder, whole, content)
    for about in ODD_ABOUT:
        yield f"about {about!r:.20}", partial(folder, about, b"")
    for name, value in (("height", 0), ("width", 10**9), ("files", []), ("files", {}), ("filter", "../x"), ("x", 1)):
        yield f"with {name} {value!r}", partial(folder, {**whole, name: value}, b"")
