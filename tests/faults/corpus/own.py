"""Hostile folders and tables of own images."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from tests.datasets.own_trees import rows_of, write_folders, write_picture, write_rows
from tests.faults.corpus.case import Case, call, command, require
from tests.faults.corpus.damage import (
    Damage,
    Item,
    fifo,
    loop,
    made,
    new_folder,
    odd_names,
    renamed,
    replaced,
    unreadable,
    zero_link,
)
from tests.faults.corpus.own_parquet import PARQUET, parquet_items

TABLE = "list.csv"
SECRET = "secret.png"
"""Image beside the folder of the data, which must not be read."""


def cases(seed: int) -> Iterator[Case]:
    """Yield each damage twice: read by a run, and described by ``--check-data``."""
    rng = np.random.default_rng(seed)
    for form, name, damage, expect, names in [*_folders(), *_tables(rng), *parquet_items(rng)]:
        yield Case("own", f"{form}: {name}", partial(_open, form, damage), expect, names)
        yield Case("own", f"{form}: {name} (--check-data)", partial(_describe, form, damage), "either")
    for pattern in ("(", "(?P<a>", "a", "()", "(a)" * 1000, "(?:", "[", "\\", "(\x1b)", "(" * 500):
        yield Case("own", f"camera pattern {pattern[:20]!r}", partial(_pattern, pattern), "refused", ("data.camera",))


def _write(form: str, folder: Path) -> Path:
    write_picture(folder / SECRET, 9, 9)
    if form == "folders":
        return write_folders(folder / "tree", range(3), 2, named=True, split="train")
    return write_rows(folder / "tree" / TABLE, rows_of(folder / "tree", range(3), "train", 2)).parent


def _given(form: str, root: Path) -> Path:
    return root if form == "folders" else root / (TABLE if form == "table" else PARQUET)


def _open(form: str, damage: Damage, folder: Path) -> int:
    from usvi_bench.datasets.cache import decoded
    from usvi_bench.datasets.open import open_dataset

    root = _write(form, folder)
    damage(root)

    def read() -> None:
        dataset, _ = open_dataset("folder", str(_given(form, root)))
        for split in (dataset.train(), dataset.test()):
            for table in (split.visible, split.infrared):
                decoded(table, 12, 6, "bicubic", dataset.fingerprint)
                require(len(set(table.names)) == len(table), "an image is listed twice")
                places = [Path(os.path.realpath(table.root / path)) for path in table.paths]
                require(all(place.is_relative_to(root.resolve()) for place in places), "an image is outside")

    return call(read)


def _describe(form: str, damage: Damage, folder: Path) -> int:
    root = _write(form, folder)
    damage(root)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = command(["--check-data", str(_given(form, root)), "--contact-sheet", str(folder / "sheet.png")])
    text = out.getvalue()
    require(status or "complete" in text, f"exit status 0 for images that are not complete: {text[-300:]}")
    require(all(line.isprintable() for line in text.splitlines()), f"control characters: {text!r}")
    if status == 1:
        require("cannot be read:" in text, f"status 1 without a reason: {text[-300:]}")
        print("described; see the list")
    return status


def _pattern(pattern: str, folder: Path) -> int:
    from usvi_bench.datasets.open import open_dataset

    root = _write("folders", folder)
    return call(lambda: open_dataset("folder", str(root), camera=pattern))


def _folders() -> Iterator[Item]:
    image, person = "train/RGB/p1/1_0_c0.png", "train/RGB/p1"
    for text, make in {"FIFO": fifo, "/dev/zero": zero_link, "link to itself": loop, "folder": new_folder}.items():
        yield "folders", f"image is {text}", partial(made, make, image), "refused", ("1_0_c0.png",)
    for text, raw in odd_names():
        yield "folders", f"image named {text}", partial(renamed, person, raw), "refused", ("rename",)
    yield (
        "folders",
        "link out of the folder",
        lambda r: (r / person / "x.png").symlink_to(r.parent / SECRET),
        "refused",
        ("link out",),
    )
    yield "folders", "folder links out", lambda r: (r / "train/RGB/p9").symlink_to(r.parent), "refused", ("link out",)
    yield "folders", "folder links to /", lambda r: (r / "train/RGB/p9").symlink_to("/"), "either", ()
    yield (
        "folders",
        "folder links to its parent",
        lambda r: (r / "train/RGB/p9").symlink_to(r / "train"),
        "refused",
        ("p9/",),
    )
    yield "folders", "modality unreadable", lambda r: unreadable(r / "train/RGB"), "refused", ("RGB",)
    yield "folders", "person unreadable", lambda r: unreadable(r / person), "refused", ("p1",)
    yield "folders", "modality is a file", lambda r: replaced(r / "train/RGB", b"x"), "refused", ("no visible",)
    yield "folders", "modality missing", lambda r: shutil.rmtree(r / "train/Thermal"), "refused", ("no infrared",)
    yield (
        "folders",
        "modality empty",
        lambda r: [shutil.rmtree(p) for p in (r / "train/RGB").iterdir()],
        "refused",
        ("no visible",),
    )
    yield (
        "folders",
        "two folders of a modality",
        lambda r: shutil.copytree(r / "train/RGB", r / "train/visible"),
        "refused",
        ("both",),
    )
    yield "folders", "split twice", lambda r: shutil.copytree(r / "train", r / "TRAIN"), "refused", ("both",)
    yield (
        "folders",
        "person in train and test",
        lambda r: shutil.copytree(r / "train", r / "test"),
        "refused",
        ("seen in training",),
    )
    yield (
        "folders",
        "person of control characters",
        lambda r: (r / person).rename(r / "train/RGB/p\x1b[2J"),
        "refused",
        ("rename",),
    )
    yield (
        "folders",
        "person not UTF-8",
        lambda r: (r / person).rename(Path(os.fsdecode(os.fsencode(r / "train/RGB") + b"/\xe9"))),
        "refused",
        ("rename",),
    )
    yield (
        "folders",
        "person of 250 letters",
        lambda r: (r / person).rename(r / "train/RGB" / ("p" * 250)),
        "accepted",
        (),
    )
    yield "folders", "image is text", lambda r: (r / image).write_bytes(b"no picture"), "refused", ("1_0_c0.png",)
    yield "folders", "image is empty", lambda r: (r / image).write_bytes(b""), "refused", ("1_0_c0.png",)


def _tables(rng: np.random.Generator) -> Iterator[Item]:
    head, path = "path,modality,identity,camera,split\n", "visible/train-0-0.png"
    boxes = "path,modality,x_1,y_1,x_2,y_2\n"
    contents: dict[str, bytes] = {
        "parent folder": f"{head}../{SECRET},visible,p,c,train\n".encode(),
        "parent in the middle": f"{head}visible/../../{SECRET},visible,p,c,train\n".encode(),
        "parent by backslashes": f"{head}..\\{SECRET},visible,p,c,train\n".encode(),
        "absolute path": f"{head}/etc/passwd,visible,p,c,train\n".encode(),
        "drive": f"{head}C:\\x.png,visible,p,c,train\n".encode(),
        "address": f"{head}http://localhost/x.png,visible,p,c,train\n".encode(),
        "home": f"{head}~/x.png,visible,p,c,train\n".encode(),
        "table as image": f"{head}{TABLE},visible,p,c,train\n{path},infrared,q,c,train\n".encode(),
        "folder as image": f"{head}visible,visible,p,c,train\n".encode(),
        "same line twice": f"{head}{path},visible,p,c,train\n{path},visible,p,c,train\n".encode(),
        "same image by ./": f"{head}{path},visible,p,c,train\n./{path},visible,p,c,train\n".encode(),
        "absent image": f"{head}none.png,visible,p,c,train\n".encode(),
        "NUL": f"{head}a\x00.png,visible,p,c,train\n".encode(),
        "NUL in the header": b"path\x00,modality\n",
        "escape sequence": f"{head}{path},visible,\x1b[2J,c,train\n".encode(),
        "right-to-left mark": f"{head}{path},visible,\u202ea,c,train\n".encode(),
        "huge cell": f"{head}{path},visible,{'p' * 10_000_000},c,train\n".encode(),
        "long cell": f"{head}{path},visible,{'p' * 5000},c,train\n".encode(),
        "formula in the path": f"{head}=cmd|' /C calc'!A0,visible,p,c,train\n".encode(),
        "line break in a cell": f'{head}{path},visible,"a\nb",c,train\n'.encode(),
        "open quote": f'{head}"{path},visible,p,c,train\n'.encode(),
        "10^6 columns": b",".join(b"c%d" % i for i in range(1_000_000)) + b"\n",
        "10^6 columns more": b"path,modality," + b",".join(b"c%d" % i for i in range(1_000_000)) + b"\n",
        "10^6 columns of one name": b"path,modality" + b",x" * 1_000_000 + b"\n",
        "10^6 cells in a line": head.encode() + b"," * 1_000_000 + b"\n",
        "5*10^4 absent images": head.encode() + b"".join(b"%d.png,visible,,,train\n" % i for i in range(50_000)),
        "few cells": f"{head}{path},visible\n".encode(),
        "no rows": head.encode(),
        "empty": b"",
        "blank lines": b"\n\n\n",
        "one word": b"path",
        "semicolons": head.replace(",", ";").encode(),
        "tabs": head.replace(",", "\t").encode(),
        "UTF-16": head.encode("utf-16"),
        "Latin-1": head.encode() + b"\xe9.png,visible,p,c,train\n",
        "binary": rng.bytes(500),
        "image as table": (b"\x89PNG\r\n\x1a\n" + rng.bytes(200)),
        "unknown modality": f"{head}{path},depth,p,c,train\n".encode(),
        "unknown split": f"{head}{path},visible,p,c,validation\n".encode(),
        "some without split": f"{head}{path},visible,p,c,train\nvisible/train-0-1.png,visible,p,c,\n".encode(),
        "one modality": f"{head}{path},visible,p,c,train\n".encode(),
        "seen in training": f"{head}{path},visible,p,c,train\ninfrared/train-0-0.png,infrared,p,c,test\n".encode(),
        "box beyond the image": f"{boxes}{path},visible,0,0,17,32\ninfrared/train-0-0.png,infrared,,,,\n".encode(),
        "box of 10^6": f"{boxes}{path},visible,0,0,999999,999999\ninfrared/train-0-0.png,infrared,,,,\n".encode(),
        "box of 30 digits": f"{boxes}{path},visible,0,0,{'9' * 30},32\n".encode(),
        "box reversed": f"{boxes}{path},visible,9,9,3,3\n".encode(),
        "box empty": f"{boxes}{path},visible,3,3,3,9\n".encode(),
        "box negative": f"{boxes}{path},visible,-1,0,9,9\n".encode(),
        "box of fractions": f"{boxes}{path},visible,0.5,0,9,9\n".encode(),
        "box of NaN": f"{boxes}{path},visible,nan,inf,9,9\n".encode(),
        "box of other digits": f"{boxes}{path},visible,\u0661,0,9,9\n".encode(),
        "box of text": f"{boxes}{path},visible,__import__('os'),0,9,9\n".encode(),
        "half a box": f"{boxes}{path},visible,1,,9,\n".encode(),
    }
    for text, content in contents.items():
        yield "table", text, partial(_table, content), "refused", ("list.csv", "row ", "train-0-0", "image")
    harmless = f"{path},visible,{{}},c,train\ninfrared/train-0-0.png,infrared,q,c,train\n"
    for text, name in {
        "formula": "=1+1",
        "path": "../../etc",
        "markup": "<b>",
        "emoji": "\U0001f600",
        "-1": "-1",
    }.items():
        yield "table", f"identity is a {text}", partial(_table, (head + harmless.format(name)).encode()), "accepted", ()
    yield (
        "table",
        "CRLF and a BOM",
        partial(_table, ("\ufeff" + head + harmless.format("p")).replace("\n", "\r\n").encode()),
        "accepted",
        (),
    )
    yield "table", "is a FIFO", lambda root: fifo(root / TABLE), "refused", ("neither",)
    yield "table", "is /dev/zero", lambda root: zero_link(root / TABLE), "refused", ("neither",)
    yield "table", "is a folder", lambda root: new_folder(root / TABLE), "refused", ("neither",)
    yield "table", "links to itself", lambda root: loop(root / TABLE), "refused", ("neither",)
    yield "table", "unreadable", lambda root: unreadable(root / TABLE), "refused", ("list.csv",)
    for text, make in {"FIFO": fifo, "/dev/zero": zero_link, "link to itself": loop, "folder": new_folder}.items():
        yield "table", f"image is {text}", partial(made, make, path), "refused", ("train-0-0.png",)
    yield (
        "table",
        "image links out",
        lambda root: _link_out(root / path, root.parent / SECRET),
        "refused",
        ("link out",),
    )


def _table(content: bytes, root: Path) -> None:
    (root / TABLE).write_bytes(content)


def _link_out(path: Path, target: Path) -> None:
    path.unlink()
    path.symlink_to(target)
