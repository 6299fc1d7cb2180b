"""Built package: contents, use outside the checkout, recorded commit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from usvi_bench.core import revision

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "runs", "build", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis"
)
AUTHOR = ("-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
SETTINGS = {
    path.relative_to(ROOT).as_posix() for end in ("py", "toml") for path in (ROOT / "configs").rglob(f"*.{end}")
}
NEEDED = {
    "py.typed",
    "components/encoder/pretrained/small16.json",
    "components/encoder/pretrained/small16.safetensors",
    "core/formats/1.json",
    "leaderboard/published.csv",
    "protocols/data/sysu_test_counts.csv",
    "reports/site/static/style.css",
    "reports/site/templates/base.html",
    revision.STAMP,
}


FACTS = """
from usvi_bench.core.environment import commit
from usvi_bench.engine.read_settings import CONFIGS
from usvi_bench.engine.start_weights import SHIPPED
from usvi_bench.reports.site.methods import read_methods
print(CONFIGS, SHIPPED, [page.name for page in read_methods()], commit(), sep="\\n")
"""
SUFFIXES = {".css", ".csv", ".html", ".jpg", ".js", ".json", ".py", ".safetensors", ".svg", ".toml", ".typed"}


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *AUTHOR, *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def repository(folder: Path) -> str:
    """Make a repository of all files of a folder, and return its commit."""
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "all")
    return git(folder, "rev-parse", "HEAD")


def build_wheel(source: Path, output: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q"]
    done = subprocess.run([*command, "-w", str(output), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = output.glob("*.whl")
    return wheel


def build_sdist(source: Path, output: Path) -> Path:
    code = f"from setuptools import build_meta; build_meta.build_sdist({str(output)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, check=True)
    (archive,) = output.glob("*.tar.gz")
    return archive


def unpacked(wheel: Path, folder: Path) -> Path:
    """Unpack a wheel as an installer does, and return the package."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder / "usvi_bench"


def commit_of(site: Path, cwd: Path) -> tuple[str | None, bool]:
    """Return the revision of a package that is imported from ``site``."""
    code = "import json; from usvi_bench.core.revision import find_revision; print(json.dumps(find_revision()))"
    commit, dirty = json.loads(python(site, cwd, "-c", code))
    return commit, dirty


def python(site: Path, cwd: Path, *words: str, status: int = 0) -> str:
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Make a clean checkout of the current files and its commit; tests must not change it."""
    folder = tmp_path_factory.mktemp("clone") / "project"
    shutil.copytree(ROOT, folder, symlinks=True, ignore=LEFT_OUT)
    return folder, repository(folder)


@pytest.fixture(scope="module")
def wheel(checkout: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(checkout[0], tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def package(wheel: Path, tmp_path: Path) -> Path:
    return unpacked(wheel, tmp_path / "site")


def test_the_wheel_is_one_package_with_all_that_runs_need(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    version = wheel.name.split("-")[1]
    assert {name.partition("/")[0] for name in names} == {"usvi_bench", f"usvi_bench-{version}.dist-info"}
    held = {name.removeprefix("usvi_bench/") for name in names if name.startswith("usvi_bench/")}
    assert len(SETTINGS) > 50
    assert held >= SETTINGS | NEEDED
    assert f"usvi_bench-{version}.dist-info/licenses/LICENSE" in names
    folders = ("analysis", "benchmarks", "leaderboard/records", "leaderboard/ablations", "reports/pages", "tests")
    assert (ROOT / "leaderboard" / "records").is_dir()
    assert not [name for name in held if name.startswith(folders)]
    assert {Path(name).suffix for name in held} <= SUFFIXES


def test_the_version_is_that_of_the_package(wheel: Path) -> None:
    from usvi_bench import __version__

    assert wheel.name.startswith(f"usvi_bench-{__version__}-")
    assert f"version: {__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_an_installed_package_works_anywhere(wheel: Path, checkout: tuple[Path, str], tmp_path: Path) -> None:
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    assert "sclhm" in python(site, elsewhere, "-m", "usvi_bench", "--list")
    script = site / "bin" / "usvi-bench"
    assert "usage: usvi-bench" in python(site, elsewhere, str(script), "--help")
    settings, weights, methods, said = python(site, elsewhere, "-c", FACTS).splitlines()
    for place in map(Path, (settings, weights)):
        assert place.is_dir()
        assert place.is_relative_to(site)
    assert "sclhm" in methods, "pages about methods need no file of the checkout"
    assert said == str((checkout[1], False))


def test_the_other_library_named_datasets_keeps_its_name(package: Path, tmp_path: Path) -> None:
    (package.parent / "datasets.py").write_text("mine = False\n")
    code = "import datasets, usvi_bench.datasets.base as base; print(datasets.mine, base.Dataset.__name__)"
    assert python(package.parent, tmp_path, "-c", code).split() == ["False", "Dataset"]


def test_the_leaderboard_of_an_installed_package_is_not_written(package: Path, tmp_path: Path) -> None:
    before = revision.hash_files(package)
    refused = python(package.parent, tmp_path, "-m", "usvi_bench.leaderboard", status=2)
    assert "checkout" in refused
    assert "--output" in refused
    refused = python(package.parent, tmp_path, "-m", "usvi_bench", "pretrain", status=2)
    assert "--out is missing" in refused
    assert revision.hash_files(package) == before
    (tmp_path / "records").mkdir()
    words = ["-m", "usvi_bench.leaderboard", "--records", "records", "--output", "pages"]
    python(package.parent, tmp_path, *words)
    assert (tmp_path / "pages" / "LEADERBOARD.md").exists()
    python(package.parent, tmp_path, *words, "--check")


def test_a_changed_file_makes_an_installed_package_dirty(package: Path, checkout: tuple[Path, str]) -> None:
    assert revision.read_stamp(package) == (checkout[1], False)
    (package / "core" / "__pycache__").mkdir()
    (package / "core" / "__pycache__" / "files.pyc").write_bytes(b"compiled")
    assert revision.read_stamp(package) == (checkout[1], False)
    path = package / "configs" / "shared" / "sysu.py"
    text = path.read_text()
    path.write_text(text + "# mine\n")
    assert revision.read_stamp(package) == (checkout[1], True)
    path.write_text(text)
    (package / "methods" / "mine.py").write_text("")
    assert revision.read_stamp(package) == (checkout[1], True)


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"commit": "abc"}'])
def test_a_package_without_a_sound_stamp_has_no_commit(package: Path, content: str | None) -> None:
    (package / revision.STAMP).unlink()
    if content is not None:
        (package / revision.STAMP).write_text(content)
    assert revision.find_revision(package) == (None, True)


def test_a_repository_around_an_installed_package_is_ignored(
    package: Path, checkout: tuple[Path, str], tmp_path: Path
) -> None:
    """This is the case in a virtual environment inside another project."""
    (tmp_path / "pyproject.toml").touch()
    other = repository(tmp_path)
    assert git(package, "rev-parse", "HEAD") == other != checkout[1]
    assert commit_of(package.parent, tmp_path) == (checkout[1], False)
    (package / revision.STAMP).unlink()
    assert commit_of(package.parent, tmp_path) == (None, True)


@pytest.fixture
def changing(checkout: tuple[Path, str], tmp_path: Path) -> Path:
    """Make a clone that a test may change."""
    folder = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(checkout[0]), str(folder))
    return folder


def test_a_checkout_asks_git(changing: Path, checkout: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert revision.find_revision(changing) == (checkout[1], False)
    assert commit_of(changing, changing.parent) == (checkout[1], False)
    monkeypatch.setenv("GIT_DIR", str(ROOT / ".git"))  # as in a hook of another repository
    assert revision.find_revision(changing) == (checkout[1], False)
    monkeypatch.delenv("GIT_DIR")
    with (changing / "README.md").open("a") as file:
        file.write("more\n")
    assert revision.find_revision(changing) == (checkout[1], True)


@pytest.mark.parametrize(
    ("name", "dirty"), [("configs/schedules/mine.toml", True), ("methods/mine.py", True), ("mine.toml", False)]
)
def test_an_untracked_file_that_the_code_reads_makes_a_checkout_dirty(
    changing: Path, checkout: tuple[Path, str], name: str, dirty: bool
) -> None:
    (changing / name).touch()
    assert revision.find_revision(changing) == (checkout[1], dirty)


def test_a_worktree_is_a_checkout(changing: Path, checkout: tuple[Path, str]) -> None:
    tree = changing.parent / "tree"
    git(changing, "worktree", "add", "-q", str(tree))
    assert (tree / ".git").is_file()
    assert revision.find_revision(tree) == (checkout[1], False)


def test_a_copy_within_another_repository_has_no_commit(changing: Path) -> None:
    shutil.rmtree(changing / ".git")
    repository(changing.parent)
    assert revision.find_revision(changing) == (None, True)
    (changing / ".git").mkdir()  # no repository: git looks on, further up
    assert git(changing, "rev-parse", "--show-toplevel") == str(changing.parent)
    assert revision.find_revision(changing) == (None, True)


@pytest.mark.parametrize(
    ("name", "dirty"), [("README.md", True), ("methods/mine.py", True), ("configs/mine.py", True), ("notes.txt", False)]
)
def test_a_wheel_of_a_changed_checkout_is_dirty(
    changing: Path, checkout: tuple[Path, str], tmp_path: Path, name: str, dirty: bool
) -> None:
    with (changing / name).open("a") as file:
        file.write("# more\n")
    package = unpacked(build_wheel(changing, tmp_path / "out"), tmp_path / "site")
    assert revision.read_stamp(package) == (checkout[1], dirty)


def test_a_wheel_holds_nothing_of_an_earlier_build(changing: Path, tmp_path: Path) -> None:
    extra = changing / "methods" / "mine.py"
    extra.touch()
    build_wheel(changing, tmp_path / "first")
    extra.unlink()
    package = unpacked(build_wheel(changing, tmp_path / "second"), tmp_path / "site")
    assert not (package / "methods" / "mine.py").exists()
    assert revision.read_stamp(package)[1] is False


def test_a_wheel_from_an_sdist_has_the_commit(checkout: tuple[Path, str], wheel: Path, tmp_path: Path) -> None:
    archive = build_sdist(checkout[0], tmp_path)
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        tar.extractall(tmp_path, filter="data")
    (source,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert not [name for name in names if "records" in name or "/tests" in name or "/analysis" in name]
    repository(tmp_path)  # another project around it, whose commit is not ours
    package = unpacked(build_wheel(source, tmp_path / "out"), tmp_path / "site")
    assert revision.read_stamp(package) == (checkout[1], False)
    assert revision.hash_files(package) == revision.hash_files(unpacked(wheel, tmp_path / "other"))
    (source / "usvi_bench" / "methods" / "mine.py").touch()
    package = unpacked(build_wheel(source, tmp_path / "again"), tmp_path / "changed")
    assert revision.read_stamp(package) == (checkout[1], True)
