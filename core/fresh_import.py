"""Import of modules from their source text, without bytecode of earlier imports.

Python takes a compiled file for current if its source has the same size and the same modification time in seconds. The
code of a plug-in would then differ from the source that its hash is computed of.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from usvi_bench.core.errors import UsageError


class _Loader(SourceFileLoader):
    """Loader that compiles the text of a module, and keeps the hash of that text."""

    hashes: dict[Path, str]

    def get_code(self, fullname: str) -> CodeType:
        text = self.get_data(self.path)
        self.hashes[Path(self.path)] = hashlib.sha256(text).hexdigest()
        code: CodeType = self.source_to_code(text, self.path)
        return code


class _Finder(MetaPathFinder):
    """Finder of the modules of one package, which loads them by :class:`_Loader`."""

    def __init__(self, package: str) -> None:
        self.package, self.hashes = package, dict[Path, str]()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != self.package:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                if type(spec.loader) is SourceFileLoader:
                    spec.loader = _Loader(spec.loader.name, spec.loader.path)
                    spec.loader.hashes = self.hashes
                return spec
        return None


@contextmanager
def from_source(module: str) -> Iterator[None]:
    """Import a module, and all others of its package, from their source text within the block.

    Raises:
        UsageError: a source changed while it was imported.
    """
    finder = _Finder(module.partition(".")[0])
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
    for path, sha256 in finder.hashes.items():
        check_source(path, sha256)


def check_source(path: Path, sha256: str) -> None:
    """Check that a source still has the text that was executed.

    Raises:
        UsageError: it has another one.
    """
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise UsageError(f"{path} changed while it was imported; run the command again")
