"""Hostile data trees in the layouts of SYSU-MM01, RegDB and LLCM, and generated trees."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from tests.datasets.trees import write_llcm, write_note, write_regdb, write_sysu
from tests.faults.corpus.case import Case, Expect, call, command, require
from tests.faults.corpus.damage import (
    Damage,
    Item,
    aliased,
    changed,
    copied,
    fifo,
    listed,
    loop,
    made,
    moved,
    new_folder,
    odd_names,
    prefixed,
    renamed,
    repeated,
    replaced,
    socket_at,
    unreadable,
    zero_link,
)
from tests.faults.corpus.llcm_trees import llcm_cases

IMAGE = "Visible/1/male_front_v_0.bmp"


def cases(seed: int) -> Iterator[Case]:
    """Yield each damage twice: read by a run, and described by ``--check-data``."""
    rng = np.random.default_rng(seed)
    for layout, name, damage, expect, names in [*_sysu(rng), *_regdb(rng), *llcm_cases(rng), *_all()]:
        yield Case("trees", f"{layout}: {name}", partial(_open, layout, damage), expect, names)
        yield Case("trees", f"{layout}: {name} (--check-data)", partial(_describe, layout, damage), "either")
    for path in ("/etc", "/dev/null", "/dev/zero", "/proc", "nowhere", "x" * 5000, "a/" * 3000, "", "a\nb", "\x1b[31m"):
        yield Case("trees", f"--check-data {path[:20]!r}", partial(_check_data, path), "refused")
        yield Case("trees", f"--data {path[:20]!r}", partial(_data, path), "refused")


def _check_data(path: str, _: Path) -> int:
    return command(["--check-data", path])


def _data(path: str, _: Path) -> int:
    return command(["--method", "untrained", "--protocol", "sysu_all", "--data", path])


def _write(layout: str, folder: Path, damage: Damage) -> Path:
    write = {"sysu": write_sysu, "regdb": write_regdb, "llcm": write_llcm}[layout]
    root = write(folder / "tree", images=1)
    return found if isinstance(found := damage(root), Path) else root


def _open(layout: str, damage: Damage, folder: Path) -> int:
    from usvi_bench.datasets.cache import decoded
    from usvi_bench.datasets.open import open_dataset

    root = _write(layout, folder, damage)

    def read() -> None:
        dataset, _ = open_dataset(layout, str(root), check_counts=False)
        for fold in dataset.folds:
            for split in (dataset.train(fold), dataset.test(fold)):
                for table in (split.visible, split.infrared):
                    decoded(table, 12, 6, "bicubic", dataset.fingerprint)
                    require(len(set(table.paths)) == len(table) > 0, "an image is listed twice, or none is")
                    require(all((root / path).is_file() for path in table.paths), "a path is no file")

    return call(read)


def _describe(layout: str, damage: Damage, folder: Path) -> int:
    root = _write(layout, folder, damage)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = command(["--check-data", str(root)])
    text = out.getvalue()
    require(status or "complete" in text, f"exit status 0 for a folder that is not complete: {text[-300:]}")
    require(all(line.isprintable() for line in text.splitlines()), f"control characters: {text!r}")
    if status == 1:  # a description, of many lines
        require("cannot be read:" in text or "differs from" in text, f"status 1 without a reason: {text[-300:]}")
        print("described; see the list")
    return status


def _sysu(rng: np.random.Generator) -> Iterator[Item]:
    camera, person = int(rng.integers(1, 7)), int(rng.choice([1, 2, 3, 10]))
    folder = f"cam{camera}/{person:04d}"
    name = f"zz{rng.integers(100)}.{rng.choice(['jpg', 'JPEG', 'png', 'bmp'])}"
    make: dict[str, Damage] = {
        "folder": lambda root: (root / folder / name).mkdir(),
        "FIFO": lambda root: os.mkfifo(root / folder / name),
        "socket": lambda root: socket_at(root / folder / name),
        "device": lambda root: os.mknod(root / folder / name, 0o20666, os.makedev(1, 5)),
        "link to /dev/zero": lambda root: (root / folder / name).symlink_to("/dev/zero"),
        "link to itself": lambda root: (root / folder / name).symlink_to(name),
        "dangling link": lambda root: (root / folder / name).symlink_to("nothing.jpg"),
        "text": lambda root: (root / folder / name).write_text("not an image"),
        "empty file": lambda root: (root / folder / name).touch(),
    }
    for kind, damage in make.items():
        yield "sysu", f"{kind} named like an image", damage, "refused", (name,)
    yield "sysu", "unreadable image", lambda root: unreadable(root / folder / "0001.jpg"), "refused", ("0001.jpg",)
    yield "sysu", "unreadable folder", lambda root: unreadable(root / folder), "refused", (folder,)
    yield "sysu", "unreadable camera", lambda root: unreadable(root / f"cam{camera}"), "refused", (f"cam{camera}",)
    yield "sysu", "unreadable exp", lambda root: unreadable(root / "exp"), "refused", ("exp",)
    yield "sysu", "unreadable root", unreadable, "refused", ("tree",)
    yield "sysu", "camera is a file", lambda root: replaced(root / f"cam{camera}", b""), "refused", (f"cam{camera}",)
    yield "sysu", "camera links to itself", lambda root: loop(root / f"cam{camera}"), "refused", (f"cam{camera}",)
    yield "sysu", "person links to itself", lambda root: loop(root / folder), "refused", (folder,)
    yield "sysu", "person is a file", lambda root: replaced(root / folder, b"x"), "refused", (folder,)
    for text, raw in odd_names():
        yield "sysu", f"image named {text}", partial(renamed, folder, raw), "refused", ("rename",)
    yield "sysu", "exp/train_id.txt missing", lambda r: (r / "exp/train_id.txt").unlink(), "refused", ("train_id",)
    lists: dict[str, tuple[bytes, Expect]] = {
        "id of 5,000 digits": (b"1" * 5000, "refused"),
        "id repeated": (b"1,2,1", "refused"),
        "negative id": (b"-1,2", "refused"),
        "one id a line": (b"1\n2\n", "accepted"),
        "CRLF": (b"1\r\n2\r\n", "accepted"),
        "BOM": (b"\xef\xbb\xbf1,2\n", "accepted"),
        "UTF-16": ("1,2".encode("utf-16"), "refused"),
        "NUL": (b"1\x00,2", "refused"),
        "escape sequences": (b"\x1b[31m1", "refused"),
        "empty": (b"", "refused"),
        "only commas": (b",,,\n,", "refused"),
        "other digits": ("\u0661,\u0662".encode(), "refused"),
        "float": (b"1.0,2", "refused"),
        "path": (b"../../etc,1", "refused"),
        "binary": (rng.bytes(300), "refused"),
        "huge": (b",".join(b"%d" % i for i in range(100_000, 400_000)), "either"),
        "of the test": (b"3,25\n", "refused"),
        "unknown people": (b"777,778\n", "either"),
    }
    for text, (content, expect) in lists.items():
        which = "train" if expect == "accepted" or text == "of the test" else str(rng.choice(["train", "val", "test"]))
        damage = partial(listed, f"exp/{which}_id.txt", content)
        names = ("_id.txt", "id 3", "id 25", "images", "image of")
        yield "sysu", f"list: {text}", damage, expect, names
    yield "sysu", "list is a FIFO", lambda root: fifo(root / "exp/val_id.txt"), "refused", ("val_id.txt",)
    yield "sysu", "list is /dev/zero", lambda root: zero_link(root / "exp/val_id.txt"), "refused", ("val_id.txt",)
    yield "sysu", "list is a folder", lambda root: new_folder(root / "exp/val_id.txt"), "refused", ("val_id.txt",)


def _regdb(rng: np.random.Generator) -> Iterator[Item]:
    which = f"{rng.choice(['train', 'test'])}_{rng.choice(['visible', 'thermal'])}_{rng.integers(1, 3)}"
    path = f"idx/{which}.txt"
    folder = "Visible" if "visible" in which else "Thermal"
    other = "Thermal" if folder == "Visible" else "Visible"
    lines: dict[str, bytes] = {
        "parent folder": f"{folder}/../../x.bmp 0".encode(),
        "absolute": b"/etc/passwd 0",
        "drive": b"C:\\x.bmp 0",
        "other modality": f"{other}/1/male_front_v_0.bmp 0".encode(),
        "label of 5,000 digits": f"{folder}/1/x.bmp {'1' * 5000}".encode(),
        "negative label": f"{folder}/1/x.bmp -1".encode(),
        "no label": f"{folder}/1/x.bmp".encode(),
        "only a label": b"5",
        "tab": f"{folder}/1/x.bmp\t0".encode(),
        "missing image": f"{folder}/1/zz.bmp 0".encode(),
        "folder as image": f"{folder}/1 0".encode(),
        "NUL": f"{folder}/1/x\x00.bmp 0".encode(),
        "escape sequence": f"{folder}/1/\x1b[2J.bmp 0".encode(),
        "name of 5,000 letters": f"{folder}/{'x' * 5000}.bmp 0".encode(),
        "not UTF-8": f"{folder}/1/".encode() + b"\xe9.bmp 0",
        "UTF-16": f"{folder}/1/x.bmp 0".encode("utf-16"),
        "empty": b"",
        "blank lines": b"\n\n \n",
        "binary": rng.bytes(300),
        "huge": b"\n".join(f"{folder}/1/{i}.bmp 0".encode() for i in range(100_000)),
        "dots": b". 0",
        "blank": b"  0",
    }
    for text, content in lines.items():
        names = (which, folder, "x.bmp", "zz.bmp")
        yield "regdb", f"list: {text}", partial(listed, path, content), "refused", names
    yield "regdb", "list repeats its lines", partial(repeated, path), "refused", (which,)
    yield "regdb", "list with backslashes", partial(changed, path, b"/", b"\\"), "accepted", ()
    yield "regdb", "list with CRLF", partial(changed, path, b"\n", b"\r\n"), "accepted", ()
    yield "regdb", "list with ./", partial(changed, path, folder.encode(), b"./" + folder.encode()), "accepted", ()
    yield "regdb", "list with a BOM", partial(prefixed, path, b"\xef\xbb\xbf"), "accepted", ()
    twin = path.replace("visible", "@").replace("thermal", "visible").replace("@", "thermal")
    yield "regdb", "list of the other modality", partial(copied, twin, path), "refused", (which,)
    split = path.replace("train", "@").replace("test", "train").replace("@", "test")
    yield "regdb", "list of the other split", partial(copied, split, path), "refused", ("fold",)
    yield "regdb", "list missing", lambda root: (root / path).unlink(), "refused", (which,)
    yield "regdb", "list is a FIFO", lambda root: fifo(root / path), "refused", (which,)
    yield "regdb", "list is /dev/zero", lambda root: zero_link(root / path), "refused", (which,)
    yield "regdb", "list is a folder", lambda root: new_folder(root / path), "refused", (which,)
    yield "regdb", "list unreadable", lambda root: unreadable(root / path), "refused", (which,)
    yield "regdb", "unreadable folder", lambda root: unreadable(root / folder), "refused", (folder,)
    yield "regdb", "folder is a file", lambda root: replaced(root / folder, b""), "refused", (folder,)
    yield "regdb", "folder missing", lambda root: shutil.rmtree(root / folder), "refused", (folder,)
    yield "regdb", "no lists", lambda root: [path.unlink() for path in root.glob("idx/*")], "refused", ("idx",)
    yield "regdb", "fold of nine digits", lambda r: listed("idx/test_visible_999999999.txt", b"", r), "refused", ()
    for text, make in {
        "FIFO": fifo,
        "/dev/zero": zero_link,
        "link to itself": loop,
        "folder": new_folder,
    }.items():
        yield "regdb", f"image is {text}", partial(made, make, IMAGE), "refused", (IMAGE,)


def _all() -> Iterator[Item]:
    notes: dict[str, bytes] = {
        "nested": b"[" * 100_000,
        "NaN": b'{"images": NaN}',
        "not UTF-8": b"\xff\xfe\xff",
        "list": b"[]",
        "repeated keys": b'{"images": 1, "images": 2}',
        "huge number": b'{"images": ' + b"1" * 6000 + b"}",
        "empty": b"",
        "NUL": b"\x00" * 50,
    }
    for layout in ("sysu", "regdb", "llcm"):
        for text, content in notes.items():
            damage = partial(listed, "synthetic.json", content)
            yield layout, f"synthetic.json: {text}", damage, "refused", ("synthetic.json",)
        yield layout, "synthetic.json is a FIFO", lambda r: os.mkfifo(r / "synthetic.json"), "refused", ("synthetic",)
        yield (
            layout,
            "synthetic.json is /dev/zero",
            lambda r: zero_link(r / "synthetic.json"),
            "refused",
            ("synthetic",),
        )
        for key, value in {"layout": "other", "spec": {"seed": [[]]}, "bytes": "\x1b[0m", "images": 10**40}.items():
            change = {key: value}
            yield layout, f"synthetic.json: {key}", partial(_noted, change), "either", ()
        yield layout, "root not UTF-8", partial(moved, b"tr\xe9e"), "either", ()
        yield layout, "root with a new line", partial(moved, b"tr\nee"), "either", ()
        yield layout, "root is a link", lambda root: aliased(root), "accepted", ()


def _noted(change: dict[str, object], root: Path) -> None:
    write_note(root, **change)
