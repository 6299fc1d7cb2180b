"""Build hooks, which add the commit and a hash of the files to the package."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
PACKAGE = "usvi_bench"


def load_revision() -> ModuleType:
    """Load ``core/revision.py`` by its path, because importing the package would need its dependencies."""
    spec = importlib.util.spec_from_file_location("revision", ROOT / PACKAGE / "core" / "revision.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stamp(package: Path) -> None:
    """Write the stamp of an otherwise complete package; it is dirty if git does not track a packed file."""
    revision = load_revision()
    commit, dirty = revision.find_revision(ROOT)
    if (ROOT / ".git").exists():
        packed = (ROOT / PACKAGE / path.relative_to(package) for path in package.rglob("*") if path.is_file())
        dirty = dirty or not {path.resolve() for path in packed} <= revision.tracked_files(ROOT)
    revision.write_stamp(package, (commit, dirty))


class StampedBuild(build_py):
    """Build of the package into an empty folder, stamped at the end."""

    def run(self) -> None:
        package = Path(self.build_lib) / PACKAGE
        if not self.editable_mode:
            shutil.rmtree(package, ignore_errors=True)  # else files of an earlier build would be packed
        super().run()
        if not self.editable_mode:
            stamp(package)


class StampedSource(sdist):
    """Source distribution with a stamp, which a wheel that is built from it also has."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        stamp(Path(base_dir) / PACKAGE)


setup(cmdclass={"build_py": StampedBuild, "sdist": StampedSource})
