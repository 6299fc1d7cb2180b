"""Disk that fails at a chosen point: the process ends there, or the disk is full from there on."""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEAD = 77
"""Exit status of a process that ended at its point."""
_CALLS = ("replace", "rename", "link", "truncate", "unlink", "mkdir", "fsync")


@dataclass(frozen=True)
class Point:
    """Point at which a disk can fail: operation, path below the watched folder, number of bytes of a write."""

    kind: str
    path: str
    size: int = 0


class Disk:
    """Disk below a folder. It counts writes, renames, links, removals and syncs, and fails at one of them.

    Writes are those that reach the system: buffered bytes are lost when the process ends, as in a real one.

    Args:
        folder: operations on paths outside it are not counted.
        at: number of the point to fail at; None to count only.
        how: ``before`` (the process ends before the operation), ``half`` (after half the bytes of a write), ``full``
            (no space from this point on; links, syncs and removals still work).
    """

    def __init__(self, folder: Path, at: int | None = None, how: str = "before") -> None:
        self.folder, self.at, self.how = str(folder.resolve()), at, how
        self.points: list[Point] = []
        self.full = False

    def install(self) -> None:
        """Replace the functions of this process; meant for a child that ends soon."""
        real = builtins.open
        disk = self

        class File(io.FileIO):
            """Raw file whose writes and truncations are points."""

            def write(self, data: Any) -> int:  # type: ignore[override]
                return disk.write(super().write, str(self.name), data)

            def truncate(self, size: int | None = None) -> int:
                disk.pass_point("truncate", str(self.name))
                return super().truncate(size)

        def opened(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **more: Any) -> Any:
            writes = set(mode) & set("wxa+")
            if not writes or isinstance(file, int) or not self.watches(file):
                return real(file, mode, buffering, *rest, **more)
            raw = File(os.fspath(file), mode.replace("b", "").replace("t", ""))
            if buffering == 0:
                return raw
            buffer = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            if "b" in mode:
                return buffer
            named = {**dict(zip(("encoding", "errors", "newline"), rest, strict=False)), **more}
            return io.TextIOWrapper(
                buffer, **{k: v for k, v in named.items() if k in ("encoding", "errors", "newline")}
            )

        builtins.open = io.open = opened  # type: ignore[assignment]
        for name in _CALLS:
            setattr(os, name, self._counted(name, getattr(os, name)))

    def watches(self, path: Any) -> bool:
        """Return whether operations on a path are counted."""
        return os.path.abspath(os.fsdecode(os.fspath(path))).startswith(self.folder + "/")  # noqa: PTH100

    def write(self, write: Callable[[Any], int], path: str, data: Any) -> int:
        """Write bytes, unless this is the point at which the disk fails."""
        view = memoryview(data).cast("B")
        here = len(self.points) == self.at
        if here and self.how != "before":
            write(view[: len(view) // 2])
            if self.how == "half":
                os._exit(DEAD)
        self.pass_point("write", path, len(view))
        return write(data)

    def pass_point(self, kind: str, path: str, size: int = 0) -> None:
        """Count a point, and fail if it is the chosen one."""
        if len(self.points) == self.at:
            if self.how != "full":
                os._exit(DEAD)
            self.full = True
        self.points.append(Point(kind, os.path.relpath(path, self.folder), size))
        if self.full and kind in ("write", "mkdir"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            target = arguments[0]
            if isinstance(target, int):
                target = os.readlink(f"/proc/self/fd/{target}")  # noqa: PTH115
            elif named.get("dir_fd") is not None:
                target = os.path.join(os.readlink(f"/proc/self/fd/{named['dir_fd']}"), target)  # noqa: PTH115, PTH118
            if self.watches(target):
                self.pass_point(name, os.fspath(target))
            return call(*arguments, **named)

        return counted
