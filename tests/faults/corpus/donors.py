"""Hostile folders of people, whose images replace those of training people."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.datasets.own_trees import write_picture
from tests.faults.corpus.case import Case, call, require
from tests.faults.corpus.damage import fifo, loop, made, new_folder, odd_names, renamed, unreadable, zero_link

IMAGE = "p1/0.png"


def cases(seed: int) -> Iterator[Case]:
    """Yield damages of a folder with a folder for each person, and of one with the names of Market-1501."""
    for text, make in {"FIFO": fifo, "/dev/zero": zero_link, "link to itself": loop, "folder": new_folder}.items():
        yield _case(f"image is {text}", partial(made, make, IMAGE), "0.png")
    for text, raw in odd_names():
        yield _case(f"image named {text}", partial(renamed, "p1", raw), "rename")
    yield _case("person of control characters", lambda root: (root / "p1").rename(root / "p\x1b[2J"), "rename")
    yield _case("person not UTF-8", _not_utf8, "rename")
    yield _case("person unreadable", lambda root: unreadable(root / "p1"), "p1")
    yield _case("no image", _emptied, "no data set there")
    yield _case("image is text", lambda root: (root / IMAGE).write_bytes(b"no picture"), "0.png")
    for name in ("holiday.png", "_c1.png", "12345678901_c1.png", "2_c.png", "\u0661_c1.png"):
        yield _case(f"flat, {name!a}", partial(_flat, name), "begin with a person", "rename")
    yield Case("donors", "flat, harmless", partial(_open, partial(_flat, "0002_c1s1_1.png")), "accepted")


def _case(name: str, damage: Callable[[Path], object], *names: str) -> Case:
    return Case("donors", name, partial(_open, damage), "refused", names)


def _open(damage: Callable[[Path], object], folder: Path) -> int:
    from usvi_bench.datasets.cache import decoded
    from usvi_bench.engine.donors import find_donors

    root = folder / "people"
    for person in range(3):
        for number in range(2):
            write_picture(root / f"p{person}/{number}.png", person, number)
    damage(root)

    def read() -> None:
        dataset, _ = find_donors(str(root), "sysu", lambda text: None).open()
        table = dataset.train().visible
        require(len(table) == len(set(table.paths)) > 0, "an image is listed twice, or none")
        decoded(table, 12, 6, "bicubic", dataset.fingerprint)

    return call(read)


def _not_utf8(root: Path) -> None:
    (root / "p1").rename(Path(os.fsdecode(os.fsencode(root) + b"/\xe9")))


def _emptied(root: Path) -> None:
    for path in root.glob("*/*"):
        path.unlink()


def _flat(name: str, root: Path) -> None:
    write_picture(root / name, 1, 1)
