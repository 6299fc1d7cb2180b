"""Hostile data trees in the layout of LLCM."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import partial

import numpy as np

from tests.faults.corpus.damage import (
    Item,
    changed,
    copied,
    fifo,
    listed,
    loop,
    made,
    new_folder,
    odd_names,
    prefixed,
    renamed,
    repeated,
    replaced,
    text_image,
    unreadable,
    zero_link,
)


def llcm_cases(rng: np.random.Generator) -> Iterator[Item]:
    """Yield damages of a tree in LLCM's layout."""
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
        yield "llcm", f"list: {text}", partial(listed, path, content), "refused", (f"train_{word}", "0001_c01_zz.jpg")
    yield "llcm", "list repeats its lines", partial(repeated, path), "refused", (path,)
    yield "llcm", "list with CRLF", partial(changed, path, b"\n", b"\r\n"), "accepted", ()
    yield "llcm", "list with a BOM", partial(prefixed, path, b"\xef\xbb\xbf"), "accepted", ()
    twin = path.replace("vis", "@").replace("nir", "vis").replace("@", "nir")
    yield "llcm", "list of the other modality", partial(copied, twin, path), "refused", ("both",)
    yield "llcm", "list is a FIFO", lambda root: fifo(root / path), "refused", (path,)
    yield "llcm", "list is /dev/zero", lambda root: zero_link(root / path), "refused", (path,)
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
        damage = partial(listed, "idx/test_id.txt", content)
        yield "llcm", f"test people: {text}", damage, "refused", ("idx/test_id.txt",)
    yield "llcm", "test people: FIFO", lambda root: fifo(root / "idx/test_id.txt"), "refused", ("test_id",)
    yield "llcm", "camera missing", lambda root: shutil.rmtree(root / camera), "refused", (camera,)
    yield "llcm", "camera is a file", lambda root: replaced(root / camera, b""), "refused", (camera,)
    yield "llcm", "camera links to itself", lambda root: loop(root / camera), "refused", (camera,)
    yield "llcm", "camera unreadable", lambda root: unreadable(root / camera), "refused", (camera,)
    yield "llcm", "person is a file", lambda root: replaced(root / camera / "0003", b"x"), "refused", ("0003",)
    yield "llcm", "all test images missing", lambda r: shutil.rmtree(r / f"test_{word}"), "refused", ("test_",)
    yield "llcm", "test image is text", lambda r: text_image(r / camera / "0003"), "refused", ("zz.jpg",)
    yield "llcm", "test image is a FIFO", lambda r: os.mkfifo(r / camera / "0003/zz.jpg"), "refused", ("zz.jpg",)
    for text, raw in odd_names():
        yield "llcm", f"image named {text}", partial(renamed, f"{camera}/0003", raw), "refused", ("rename",)
    for text, make in {
        "FIFO": fifo,
        "/dev/zero": zero_link,
        "link to itself": loop,
        "folder": new_folder,
    }.items():
        yield "llcm", f"image is {text}", partial(made, make, image), "refused", (image,)
