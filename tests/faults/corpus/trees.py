"""Hostile data trees in the layouts of SYSU-MM01, RegDB and LLCM, and generated trees."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from tests.datasets.trees import write_llcm, write_note, write_regdb, write_sysu
from tests.faults.corpus.case import Case, Expect, call, command, require

NOBODY = 65534
IMAGE = "Visible/1/male_front_v_0.bmp"
Damage = Callable[[Path], object]


def cases(seed: int) -> Iterator[Case]:
    """Yield each damage twice: read by a run, and described by ``--check-data``."""
    rng = np.random.default_rng(seed)
    for layout, name, damage, expect, names in [*_sysu(rng), *_regdb(rng), *_llcm(rng), *_all()]:
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


Item = tuple[str, str, Damage, Expect, tuple[str, ...]]


def _sysu(rng: np.random.Generator) -> Iterator[Item]:
    camera, person = int(rng.integers(1, 7)), int(rng.choice([1, 2, 3, 10]))
    folder = f"cam{camera}/{person:04d}"
    name = f"zz{rng.integers(100)}.{rng.choice(['jpg', 'JPEG', 'png', 'bmp'])}"
    make: dict[str, Damage] = {
        "folder": lambda root: (root / folder / name).mkdir(),
        "FIFO": lambda root: os.mkfifo(root / folder / name),
        "socket": lambda root: _socket(root / folder / name),
        "device": lambda root: os.mknod(root / folder / name, 0o20666, os.makedev(1, 5)),
        "link to /dev/zero": lambda root: (root / folder / name).symlink_to("/dev/zero"),
        "link to itself": lambda root: (root / folder / name).symlink_to(name),
        "dangling link": lambda root: (root / folder / name).symlink_to("nothing.jpg"),
        "text": lambda root: (root / folder / name).write_text("not an image"),
        "empty file": lambda root: (root / folder / name).touch(),
    }
    for kind, damage in make.items():
        yield "sysu", f"{kind} named like an image", damage, "refused", (name,)
    yield "sysu", "unreadable image", lambda root: _chmod(root / folder / "0001.jpg"), "refused", ("0001.jpg",)
    yield "sysu", "unreadable folder", lambda root: _chmod(root / folder), "refused", (folder,)
    yield "sysu", "unreadable camera", lambda root: _chmod(root / f"cam{camera}"), "refused", (f"cam{camera}",)
    yield "sysu", "unreadable exp", lambda root: _chmod(root / "exp"), "refused", ("exp",)
    yield "sysu", "unreadable root", _chmod, "refused", ("tree",)
    yield "sysu", "camera is a file", lambda root: _replaced(root / f"cam{camera}", b""), "refused", (f"cam{camera}",)
    yield "sysu", "camera links to itself", lambda root: _loop(root / f"cam{camera}"), "refused", (f"cam{camera}",)
    yield "sysu", "person links to itself", lambda root: _loop(root / folder), "refused", (folder,)
    yield "sysu", "person is a file", lambda root: _replaced(root / folder, b"x"), "refused", (folder,)
    for text, raw in _odd_names():
        yield "sysu", f"image named {text}", partial(_renamed, folder, raw), "refused", ("rename",)
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
        damage = partial(_listed, f"exp/{which}_id.txt", content)
        names = ("_id.txt", "id 3", "id 25", "images", "image of")
        yield "sysu", f"list: {text}", damage, expect, names
    yield "sysu", "list is a FIFO", lambda root: _fifo(root / "exp/val_id.txt"), "refused", ("val_id.txt",)
    yield "sysu", "list is /dev/zero", lambda root: _linked(root / "exp/val_id.txt"), "refused", ("val_id.txt",)
    yield "sysu", "list is a folder", lambda root: _folder(root / "exp/val_id.txt"), "refused", ("val_id.txt",)


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
        yield "regdb", f"list: {text}", partial(_listed, path, content), "refused", names
    yield "regdb", "list repeats its lines", partial(_repeated, path), "refused", (which,)
    yield "regdb", "list with backslashes", partial(_changed, path, b"/", b"\\"), "accepted", ()
    yield "regdb", "list with CRLF", partial(_changed, path, b"\n", b"\r\n"), "accepted", ()
    yield "regdb", "list with ./", partial(_changed, path, folder.encode(), b"./" + folder.encode()), "accepted", ()
    yield "regdb", "list with a BOM", partial(_prefixed, path, b"\xef\xbb\xbf"), "accepted", ()
    twin = path.replace("visible", "@").replace("thermal", "visible").replace("@", "thermal")
    yield "regdb", "list of the other modality", lambda r: shutil.copy(r / twin, r / path), "refused", (which,)
    split = path.replace("train", "@").replace("test", "train").replace("@", "test")
    yield "regdb", "list of the other split", lambda r: shutil.copy(r / split, r / path), "refused", ("fold",)
    yield "regdb", "list missing", lambda root: (root / path).unlink(), "refused", (which,)
    yield "regdb", "list is a FIFO", lambda root: _fifo(root / path), "refused", (which,)
    yield "regdb", "list is /dev/zero", lambda root: _linked(root / path), "refused", (which,)
    yield "regdb", "list is a folder", lambda root: _folder(root / path), "refused", (which,)
    yield "regdb", "list unreadable", lambda root: _chmod(root / path), "refused", (which,)
    yield "regdb", "unreadable folder", lambda root: _chmod(root / folder), "refused", (folder,)
    yield "regdb", "folder is a file", lambda root: _replaced(root / folder, b""), "refused", (folder,)
    yield "regdb", "folder missing", lambda root: shutil.rmtree(root / folder), "refused", (folder,)
    yield "regdb", "no lists", lambda root: [path.unlink() for path in root.glob("idx/*")], "refused", ("idx",)
    yield "regdb", "fold of nine digits", lambda r: _listed("idx/test_visible_999999999.txt", b"", r), "refused", ()
    for text, make in {"FIFO": _fifo, "/dev/zero": _linked, "link to itself": _loop, "folder": _folder}.items():
        yield "regdb", f"image is {text}", partial(_made, make, IMAGE), "refused", (IMAGE,)


def _llcm(rng: np.random.Generator) -> Iterator[Item]:
    word = str(rng.choice(["vis", "nir"]))
    path, camera = f"idx/train_{word}.txt", f"test_{word}/cam{rng.choice([2, 5, 9])}"
    image = f"{word}/0001/0001_c01_s1.jpg"
    own = f"{word}/0001/".encode()
    lines: dict[str, bytes] = {
        "parent folder": own + b"../../0001_c01.jpg 0",
        "absolute": b"/etc/0001_c01.jpg 0",
        "test image": f"{camera}/0003/0003_c02_s1.jpg 0".encode(),
        "test image by ./": f"./{camera}/0003/0003_c02_s1.jpg 0".encode(),
        "test image by backslashes": f"{camera}/0003/0003_c02_s1.jpg 0".replace("/", "\\").encode(),
        "no camera in the name": own + b"0001.jpg 0",
        "camera in a folder": b"0001_c01/0001.jpg 0",
        "camera of two digits": own + b"0001_c12.jpg 0",
        "camera of 5,000 zeros": own + b"0001_c" + b"0" * 5000 + b".jpg 0",
        "other digits": own + "0001_c\u0661.jpg 0".encode(),
        "label of 5,000 digits": own + b"0001_c01_s1.jpg " + b"1" * 5000,
        "negative label": own + b"0001_c01_s1.jpg -1",
        "no label": own + b"0001_c01_s1.jpg",
        "tab": own + b"0001_c01_s1.jpg\t0",
        "missing image": own + b"0001_c01_zz.jpg 0",
        "NUL": own + b"0001_c01\x00.jpg 0",
        "escape sequence": own + b"0001_c01\x1b[2J.jpg 0",
        "not UTF-8": own + b"0001_c01\xe9.jpg 0",
        "UTF-16": (own + b"0001_c01_s1.jpg 0").decode().encode("utf-16"),
        "empty": b"",
        "binary": rng.bytes(300),
        "huge": b"\n".join(own + b"%d_c01.jpg 0" % i for i in range(100_000)),
    }
    for text, content in lines.items():
        yield "llcm", f"list: {text}", partial(_listed, path, content), "refused", (f"train_{word}", "0001_c01_zz.jpg")
    yield "llcm", "list repeats its lines", partial(_repeated, path), "refused", (path,)
    yield "llcm", "list with CRLF", partial(_changed, path, b"\n", b"\r\n"), "accepted", ()
    yield "llcm", "list with a BOM", partial(_prefixed, path, b"\xef\xbb\xbf"), "accepted", ()
    twin = path.replace("vis", "@").replace("nir", "vis").replace("@", "nir")
    yield "llcm", "list of the other modality", lambda r: shutil.copy(r / twin, r / path), "refused", ("both",)
    yield "llcm", "list is a FIFO", lambda root: _fifo(root / path), "refused", (path,)
    yield "llcm", "list is /dev/zero", lambda root: _linked(root / path), "refused", (path,)
    people: dict[str, bytes] = {
        "two lines": b"3\n25\n",
        "repeated": b"3,3",
        "of five digits": b"12345",
        "of 5,000 digits": b"1" * 5000,
        "other digits": "\u0663".encode(),
        "path": b"../../etc",
        "nobody": b",,,",
        "empty": b"",
        "unknown": b"777",
    }
    for text, content in people.items():
        damage = partial(_listed, "idx/test_id.txt", content)
        yield "llcm", f"test people: {text}", damage, "refused", ("idx/test_id.txt",)
    yield "llcm", "test people: FIFO", lambda root: _fifo(root / "idx/test_id.txt"), "refused", ("test_id",)
    yield "llcm", "camera missing", lambda root: shutil.rmtree(root / camera), "refused", (camera,)
    yield "llcm", "camera is a file", lambda root: _replaced(root / camera, b""), "refused", (camera,)
    yield "llcm", "camera links to itself", lambda root: _loop(root / camera), "refused", (camera,)
    yield "llcm", "camera unreadable", lambda root: _chmod(root / camera), "refused", (camera,)
    yield "llcm", "person is a file", lambda root: _replaced(root / camera / "0003", b"x"), "refused", ("0003",)
    yield "llcm", "all test images missing", lambda r: shutil.rmtree(r / f"test_{word}"), "refused", ("test_",)
    yield "llcm", "test image is text", lambda r: _text(r / camera / "0003"), "refused", ("zz.jpg",)
    yield "llcm", "test image is a FIFO", lambda r: os.mkfifo(r / camera / "0003/zz.jpg"), "refused", ("zz.jpg",)
    for text, raw in _odd_names():
        yield "llcm", f"image named {text}", partial(_renamed, f"{camera}/0003", raw), "refused", ("rename",)
    for text, make in {"FIFO": _fifo, "/dev/zero": _linked, "link to itself": _loop, "folder": _folder}.items():
        yield "llcm", f"image is {text}", partial(_made, make, image), "refused", (image,)


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
            damage = partial(_listed, "synthetic.json", content)
            yield layout, f"synthetic.json: {text}", damage, "refused", ("synthetic.json",)
        yield layout, "synthetic.json is a FIFO", lambda r: os.mkfifo(r / "synthetic.json"), "refused", ("synthetic",)
        yield layout, "synthetic.json is /dev/zero", lambda r: _linked(r / "synthetic.json"), "refused", ("synthetic",)
        for key, value in {"layout": "other", "spec": {"seed": [[]]}, "bytes": "\x1b[0m", "images": 10**40}.items():
            change = {key: value}
            yield layout, f"synthetic.json: {key}", partial(_noted, change), "either", ()
        yield layout, "root not UTF-8", partial(_moved, b"tr\xe9e"), "either", ()
        yield layout, "root with a new line", partial(_moved, b"tr\nee"), "either", ()
        yield layout, "root is a link", lambda root: _aliased(root), "accepted", ()


def _noted(change: dict[str, object], root: Path) -> None:
    write_note(root, **change)


def _odd_names() -> Iterator[tuple[str, bytes]]:
    yield "not in UTF-8", b"\xe9.jpg"
    yield "with a new line", b"a\nb.jpg"
    yield "with an escape sequence", b"\x1b[2J.jpg"
    yield "with a line separator", "a\u2028b.jpg".encode()
    yield "with a reversed text", "a\u202egpj.jpg".encode()


def _renamed(folder: str, raw: bytes, root: Path) -> None:
    image = next((root / folder).iterdir())
    image.rename(Path(os.fsdecode(os.fsencode(root / folder) + b"/" + raw)))


def _text(folder: Path) -> None:
    (folder / "zz.jpg").write_text("not an image")


def _listed(path: str, content: bytes, root: Path) -> None:
    (root / path).write_bytes(content)


def _repeated(path: str, root: Path) -> None:
    (root / path).write_bytes((root / path).read_bytes() * 2)


def _changed(path: str, old: bytes, new: bytes, root: Path) -> None:
    (root / path).write_bytes((root / path).read_bytes().replace(old, new))


def _prefixed(path: str, prefix: bytes, root: Path) -> None:
    (root / path).write_bytes(prefix + (root / path).read_bytes())


def _moved(name: bytes, root: Path) -> Path:
    return root.rename(Path(os.fsdecode(os.fsencode(root.parent) + b"/" + name)))


def _aliased(root: Path) -> Path:
    alias = root.with_name("alias")
    alias.symlink_to(root)
    return alias


def _replaced(path: Path, content: bytes) -> None:
    shutil.rmtree(path)
    path.write_bytes(content)


def _gone(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _made(make: Damage, path: str, root: Path) -> None:
    make(root / path)


def _fifo(path: Path) -> None:
    _gone(path)
    os.mkfifo(path)


def _linked(path: Path) -> None:
    _gone(path)
    path.symlink_to("/dev/zero")


def _loop(path: Path) -> None:
    _gone(path)
    path.symlink_to(path)


def _folder(path: Path) -> None:
    _gone(path)
    path.mkdir()


def _socket(path: Path) -> None:
    os.chdir(path.parent)  # its path is too long for an address
    socket.socket(socket.AF_UNIX).bind(path.name)


def _chmod(path: Path) -> None:
    """Forbid reading; root may read all, so give everything to another user and become that user."""
    if os.getuid() == 0:
        top = Path.cwd().parent
        for each in (top, *top.rglob("*")):
            os.chown(each, NOBODY, NOBODY, follow_symlinks=False)
    path.chmod(0)
    if os.getuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
