"""Damages of data trees."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults.corpus.case import Expect

NOBODY = 65534
Damage = Callable[[Path], object]
Item = tuple[str, str, Damage, Expect, tuple[str, ...]]
"""Layout, name, damage, expected outcome, and texts of which the message has one."""


def odd_names() -> Iterator[tuple[str, bytes]]:
    yield "not in UTF-8", b"\xe9.jpg"
    yield "with a new line", b"a\nb.jpg"
    yield "with an escape sequence", b"\x1b[2J.jpg"
    yield "with a line separator", "a\u2028b.jpg".encode()
    yield "with a reversed text", "a\u202egpj.jpg".encode()


def renamed(folder: str, raw: bytes, root: Path) -> None:
    image = next((root / folder).iterdir())
    image.rename(Path(os.fsdecode(os.fsencode(root / folder) + b"/" + raw)))


def text_image(folder: Path) -> None:
    (folder / "zz.jpg").write_text("not an image")


def listed(path: str, content: bytes, root: Path) -> None:
    (root / path).write_bytes(content)


def copied(source: str, target: str, root: Path) -> None:
    shutil.copy(root / source, root / target)


def repeated(path: str, root: Path) -> None:
    (root / path).write_bytes((root / path).read_bytes() * 2)


def changed(path: str, old: bytes, new: bytes, root: Path) -> None:
    (root / path).write_bytes((root / path).read_bytes().replace(old, new))


def prefixed(path: str, prefix: bytes, root: Path) -> None:
    (root / path).write_bytes(prefix + (root / path).read_bytes())


def moved(name: bytes, root: Path) -> Path:
    return root.rename(Path(os.fsdecode(os.fsencode(root.parent) + b"/" + name)))


def aliased(root: Path) -> Path:
    alias = root.with_name("alias")
    alias.symlink_to(root)
    return alias


def replaced(path: Path, content: bytes) -> None:
    shutil.rmtree(path)
    path.write_bytes(content)


def _gone(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def made(make: Damage, path: str, root: Path) -> None:
    make(root / path)


def fifo(path: Path) -> None:
    _gone(path)
    os.mkfifo(path)


def zero_link(path: Path) -> None:
    _gone(path)
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    _gone(path)
    path.symlink_to(path)


def new_folder(path: Path) -> None:
    _gone(path)
    path.mkdir()


def socket_at(path: Path) -> None:
    os.chdir(path.parent)  # its path is too long for an address
    socket.socket(socket.AF_UNIX).bind(path.name)


def unreadable(path: Path) -> None:
    """Forbid reading; root may read all, so give everything to another user and become that user."""
    if os.getuid() == 0:
        top = Path.cwd().parent
        for each in (top, *top.rglob("*")):
            os.chown(each, NOBODY, NOBODY, follow_symlinks=False)
    path.chmod(0)
    if os.getuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
