"""``new method``: what it writes and refuses, all or nothing, and the story in a copied checkout."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from usvi_bench.cli import new
from usvi_bench.cli.main import main
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import METHODS
from usvi_bench.engine import new_method
from usvi_bench.engine.new_method import GENERATED, PAGE, README, TABLE, add_method, check_name, plan

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(
    *(".git", ".venv", "runs", "build", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis", "records", "ablations"),
    *("*.png", "*.jpg", "results"),
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a folder with the files that are edited."""
    root = tmp_path / "checkout"
    for path in (TABLE, README, PAGE, *GENERATED):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, root / path)
    (root / "methods").mkdir()
    (root / "usvi_bench").mkdir()
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_every_place_receives_the_method_once(tree: Path) -> None:
    texts = plan("mine", tree)
    assert set(texts) == {"methods/mine.py", "tests/methods/test_mine.py", TABLE, README, PAGE}
    before = {path: (tree / path).read_text() for path in (TABLE, README, PAGE)}
    added = {
        path: [line for line in texts[path].splitlines() if line not in before[path].splitlines()] for path in before
    }
    assert added[TABLE] == ['    "mine": {"k1": 6, "k2": 2},']
    assert [line for line in added[README] if line.startswith("| `mine` | ")] == added[README]
    assert "## Mine" in added[PAGE]
    assert "| `mine` | no | no |" in added[PAGE]
    others = texts[PAGE].partition("**The others**")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"`(\w+)`", others.partition(":")[2])) == re.findall(r"`(\w+)`", others.partition(":")[2])
    assert "`mine`" in others
    assert len(contents(tree)) == 5, "a plan writes nothing"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pgm", "the method 'pgm' exists"),
        ("my-method", "'my-method' cannot name a method: .*, such as my_method"),
        ("MyMethod", "such as mymethod"),
        ("2nd", "cannot name"),
        ("class", "cannot name"),
        ("match", "cannot name"),
        ("../x", "cannot name"),
        ("a" * 25, "cannot name"),
        ("base", "another meaning"),
        ("released", "another meaning"),
        ("external", "another meaning"),
    ],
)
def test_names_that_exist_or_are_no_identifiers_are_refused(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_name(name)


def test_the_longest_name_fits_the_lines(tree: Path) -> None:
    texts = plan("a" * 24, tree)
    code = [line for path, text in texts.items() if path.endswith(".py") for line in text.splitlines()]
    assert max(map(len, code)) <= 120


@pytest.mark.parametrize("path", ["methods/mine.py", "tests/methods/test_mine.py", "tests/engine/test_mine.py"])
def test_nothing_is_overwritten(tree: Path, path: str) -> None:
    (tree / path).parent.mkdir(parents=True, exist_ok=True)
    (tree / path).write_text("# mine\n")
    before = contents(tree)
    with pytest.raises(UsageError, match=f"{path} exists and is not overwritten"):
        add_method("mine", tree)
    assert contents(tree) == before


@pytest.mark.parametrize("path", [TABLE, README, PAGE])
def test_a_page_without_its_place_is_named(tree: Path, path: str) -> None:
    (tree / path).write_text("nothing\n")
    before = contents(tree)
    with pytest.raises(UsageError, match=f"^{path}: 0 lines begin with"):
        add_method("mine", tree)
    (tree / path).unlink()
    del before[path]
    with pytest.raises(UsageError, match=f"{path}: No such file or directory; use a whole checkout"):
        add_method("mine", tree)
    assert contents(tree) == before


@pytest.mark.parametrize("stop", [UsageError("stopped"), KeyboardInterrupt(), OSError(28, "disk full")])
def test_a_failure_leaves_every_file_as_it_was(
    tree: Path, monkeypatch: pytest.MonkeyPatch, stop: BaseException
) -> None:
    before = contents(tree)

    def generate(words: object, root: Path) -> None:
        (root / GENERATED[0]).write_text("half")
        raise stop

    monkeypatch.setattr(new_method, "_generate", generate)
    with pytest.raises(type(stop)):
        add_method("mine", tree)
    assert contents(tree) == before


def test_a_generator_that_fails_is_named(tree: Path) -> None:
    """The folder holds no code, so that the first generator cannot be imported."""
    before = contents(tree)
    with pytest.raises(UsageError, match=r"python -m usvi_bench\.engine\.defaults --write failed, so nothing was"):
        add_method("mine", tree)
    assert contents(tree) == before


def test_an_installed_package_gives_a_plug_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(new, "is_installed", lambda: True)
    assert main(["new", "method", "mine"]) == 0
    assert "--import mine.py --method mine" in capsys.readouterr().out
    code = Path("mine.py").read_text()
    assert '@METHODS.register("mine")' in code
    assert main(["new", "method", "mine"]) == 2
    assert "mine.py exists and is not overwritten" in capsys.readouterr().err
    assert Path("mine.py").read_text() == code
    assert main(["new", "method", "mine", "--output", "absent/mine.py"]) == 2
    assert "in a folder that exists" in capsys.readouterr().err
    (tmp_path / "usvi_bench/core").mkdir(parents=True)
    (tmp_path / "usvi_bench/core/revision.py").touch()
    assert main(["new", "method", "other"]) == 2
    assert "this folder is a checkout, but the command belongs to an installed package" in capsys.readouterr().err
    with pytest.raises(UsageError, match="is an installed package, which is not changed"):
        add_method("mine", tmp_path / "absent")


def test_a_new_method_in_a_checkout_passes_its_tests(tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    shutil.copytree(ROOT, root, symlinks=True, ignore=LEFT_OUT)
    before = contents(root)

    def ask(*words: str) -> str:
        done = subprocess.run([sys.executable, *words], cwd=root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    written = ask("run.py", "new", "method", "mine").splitlines()
    changed = {path for path, content in contents(root).items() if before.get(path) != content}
    changed = {path for path in changed if "__pycache__" not in path and not path.startswith("usvi_bench/")}
    assert {str(Path(line).relative_to(root)) for line in written if line.startswith("/")} == changed
    assert {"methods/mine.py", "tests/methods/test_mine.py", TABLE, README, PAGE, *GENERATED} == changed
    laws = ("every_registered_method_is_under_test", "a_method_is_named_like_its_file_and_described[mine]")
    ask("-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"{TABLE}::test_{law}" for law in laws))
    assert "mine" not in METHODS.names()
