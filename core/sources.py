"""Source code of parts that are defined outside this package, and its hash.

The source of a class is the file that defines it. Where the file's folder is a package (it holds ``__init__.py``), the
source is every ``.py`` file of the outermost package around it. In a notebook it is the cells that define the class.
"""

from __future__ import annotations

import hashlib
import linecache
import secrets
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

from usvi_bench.core.revision import ROOT

PACKAGE = "usvi_bench"
_LIBRARIES = sys.stdlib_module_names | {"torch", "numpy"}
"""Packages whose source is not hashed when a part derives from one of their classes."""


@dataclass(frozen=True, slots=True)
class Source:
    """Source of a part from outside this package, at the time of the part's registration.

    Attributes:
        module: dotted name of the module.
        path: file or folder of the package; None for a notebook.
        sha256: hash of the source; None if the source is not available.
        key: hash, or a random word if there is no hash, so that a training by unknown source is never reused.
    """

    module: str
    path: Path | None
    sha256: str | None
    key: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", self.sha256 or f"unknown-{secrets.token_hex(8)}")

    @property
    def place(self) -> str:
        """Path or module of the source, for messages."""
        return str(self.path or self.module)


def sources_of(part: Any) -> tuple[Source, ...]:
    """Return the sources of a class and its bases, or of a function; empty for parts of this package."""
    found: dict[tuple[str, str], Source] = {}
    for each in part.__mro__ if isinstance(part, type) else (part,):
        module = each.__module__
        if module.partition(".")[0] not in _LIBRARIES and not is_ours(module):
            source = source_of(module, each)
            found.setdefault((source.place, source.sha256 or each.__qualname__), source)
    return tuple(found.values())


def source_of(module: str, part: Any = None) -> Source:
    """Return the source of a module, or of the cells of a notebook that define ``part``."""
    file = module_file(module)
    if file is not None:
        root = root_of(file)
        return Source(module, root, hash_source(root))
    text = "".join(dict.fromkeys("".join(linecache.getlines(name)) for name in _code_files(part)))
    return Source(module, None, hashlib.sha256(text.encode()).hexdigest() if text else None)


def module_file(module: str) -> Path | None:
    """Return the file of an imported module; None for a notebook or a prompt."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file).resolve() if file and Path(file).is_file() else None


def find_source(module: str) -> Path | None:
    """Find the source of a module without importing it; None if it is not found."""
    for folder in sys.path:
        place = Path(folder).joinpath(*module.split("."))
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                return root_of(file.resolve())
    return None


def is_ours(module: str) -> bool:
    """Return whether an imported module is a file of this package."""
    return module.partition(".")[0] == PACKAGE and _below_root(getattr(sys.modules.get(module), "__file__", None))


def root_of(file: Path) -> Path:
    """Return the outermost package around a file, or the file itself if its folder is not a package."""
    root = file
    while (root.parent / "__init__.py").is_file():
        root = root.parent
    return root


def hash_source(root: Path) -> str:
    """Hash the bytes of a file, or names and bytes of all ``.py`` files of a package in path order."""
    if root.is_file():
        return hashlib.sha256(root.read_bytes()).hexdigest()
    digest = hashlib.sha256()
    for name, path in sorted((path.relative_to(root).as_posix(), path) for path in root.rglob("*.py")):
        digest.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def explain_failure(error: BaseException, root: Path | None) -> str:
    """Describe an error of a plug-in in one line: place in its source, type and message."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"{error.filename}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if root is not None and Path(frame.filename).resolve().is_relative_to(root)]
    where = f"{own[-1].filename}, line {own[-1].lineno}: " if own else ""
    message = " ".join(str(error).split())
    return f"{where}{type(error).__name__}{': ' if message else ''}{message}"


@cache
def _below_root(file: str | None) -> bool:
    return file is not None and Path(file).resolve().is_relative_to(ROOT)


def _code_files(part: Any) -> Iterator[str]:
    """Yield the file names of the code of a function, or of the methods of a class."""
    for value in vars(part).values() if isinstance(part, type) else (part,):
        function = getattr(value, "__func__", getattr(value, "fget", value))
        if isinstance(function, FunctionType):
            yield function.__code__.co_filename
