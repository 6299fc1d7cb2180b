"""Every command in the pages is understood, and runs on tiny people unless the table says why not."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import TINY
from tests.datasets.own_trees import write_folders, write_picture
from tests.doc_commands import Command, all_commands, check
from tests.pages import PAGES, spans
from usvi_bench.cli.commands import COMMANDS
from usvi_bench.cli.main import main
from usvi_bench.core.errors import UsageError

ROOT = Path(__file__).resolve().parent.parent
NOT_RUN = {
    "demo": "tests/test_newcomer.py runs it",
    "new": "tests/test_plugin_pages.py runs it",
    "report": "takes half a minute; tests/test_newcomer.py and tests/reports run it",
    "site": "takes a minute on all records; tests/reports/site builds small ones",
    "verify": "needs real images and ImageNet weights",
    "--camera-pattern": "needs images of the page; tests/test_own_data_docs.py runs it",
    "--donors": "needs a second data set; tests/datasets and tests/engine run it",
    "--features": "needs features of the whole data set; tests/test_external_docs.py runs it",
    "--import": "needs the file of the page; tests/test_plugin_pages.py and test_add_an_encoder.py run it",
    "--launcher": "needs Slurm; tests/sweep runs it with a fake",
    "--publish": "changes leaderboard/",
    "--track": "needs an extra; tests/test_tracking_docs.py runs it",
    "folder_i2v": "needs images of the page; tests/test_own_data_docs.py and test_readme_commands.py run it",
    "sysu_all_c": "needs the extra 'corruptions'; tests/protocols runs it",
    "export": "needs the extra 'export'; tests/test_readme_commands.py runs it",
}
"""Words of commands that are only parsed, with the reason. So are all programs but ``run.py``: they measure for
minutes, install packages, or change files of the project."""
NO_OPTIONS = {"--epochs", "--batch-size"}
"""Options of other code that a page names because the suite refuses them."""
SMALL = ["train.epochs=1", "train.iterations=2", "train.visible_clusters=2", "train.infrared_clusters=2"]
SMALL += ["method.k1=6", "method.eps=0.5", "engine.threads=1", "data.height=32", "data.width=16"]
ADDED = {"ablation": ["--data", TINY, "--dry-run", "--set", *SMALL], "evaluate": ["--set", "engine.threads=1"]}


def name_of(words: list[str]) -> str:
    return words[0] if words[0] in COMMANDS else "train"


def kinds(words: list[str]) -> set[tuple[str, str]]:
    """Return the command with each of its options, so that a command that adds none need not run."""
    name = name_of(words)
    return {(name, ""), *((name, word) for word in words if word.startswith("--"))}


def to_run() -> list[Command]:
    """Select the commands of blocks that run: each has an option that none before it has."""
    chosen, seen = [], set()
    for command in all_commands():
        words = command.ours
        if command.whole and words and not set(NOT_RUN) & set(words) and not kinds(words) <= seen:
            chosen.append(command)
            seen |= kinds(words)
    return chosen


def substituted(words: list[str], people: Path, out: Path) -> list[str]:
    """Replace files, folders and sizes of a command by small ones that exist, by the option or command before them."""
    name, option, made = name_of(words), "", []
    files: dict[tuple[str, str], str | Path] = {
        **{(each, "--data"): TINY for each in ("ablation", "doctor", "evaluate", "settings", "train")},
        **{(each, "--weights"): "small16" for each in ("doctor", "evaluate")},
        **{(each, "--model"): "small16" for each in ("embed", "search")},
        **{(each, "--output"): out / f"{len(list(out.iterdir()))}" for each in ("openset", "search")},
        **{(each, ""): "people.npz" for each in ("cluster", "openset")},
        ("check", ""): next(Path("runs").glob("sysu_all/*"), ""),
        ("ablation", "--grid"): ROOT / "configs/ablations/hil.toml",
        ("embed", ""): "people",
        ("embed", "--output"): out / "embedded.npz",
        ("search", ""): "query.png",
        ("search", "--gallery"): "people.npz",
        ("train", "--check-data"): people,
    }
    for word in words if name == "train" else words[1:]:
        option = word if word.startswith("--") else option
        file = files.get((name, option))
        made.append(word if file is None or word.startswith("--") else str(file))
    if name == "train" and "--method" in words:
        at = made.index("--set") if "--set" in made else len(made)
        made = [*made[:at], "--weights", "random", "--no-report", "--set", *made[at + 1 :], *SMALL]
        made += [] if "--data" in words else ["--data", TINY]
    made += ADDED.get(name, [])
    return made if name == "train" else [name, *made]


@pytest.mark.parametrize("command", all_commands(), ids=lambda each: f"{each.place} {' '.join(each.words)}"[:90])
def test_every_command_is_understood(command: Command) -> None:
    check(command)


def test_every_option_in_a_sentence_exists() -> None:
    folders = ("analysis", "benchmarks", "cli", "engine", "leaderboard", "reports", "tests")
    sources = "".join(path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py"))
    known = {*re.findall(r'"(--[a-z-]+)"', sources), *NO_OPTIONS}
    for page in PAGES:
        for line, text in spans(page):
            named = re.findall(r"--[a-z][a-z-]+", text) if text.startswith("--") else []
            assert {*named} <= known, f"{page.relative_to(ROOT)}:{line}: {text}"


def test_every_reason_concerns_a_command() -> None:
    words = {word for command in all_commands() for word in command.ours or ()}
    assert set(NOT_RUN) <= words


def test_the_commands_run(
    tmp_path: Path, tiny_people: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    write_folders(Path("people"), range(8), named=True)
    write_picture(Path("query.png"), 2, 9, "infrared")
    assert main(["embed", "people", "--model", "small16", "--output", "people.npz"]) == 0
    for command in to_run():
        words = substituted(command.ours or [], tiny_people["sysu"], tmp_path / "out")
        assert main(words) == 0, f"{command.place}: {' '.join(words)}\n{capsys.readouterr().err}"


@pytest.mark.parametrize(
    "line",
    [
        "python run.py --method pgm --protocol sysu_all --epoch 3",
        "python run.py --method pgn --protocol sysu_all",
        "python run.py --method pgm --protocol sysu_al",
        "python run.py --method pgm --protocol sysu_all --set method.epsi=0.5",
        "python run.py --method pgm --protocol sysu_all --schedule quik",
        "python run.py reprot RUN",
        "python run.py describe sclmh",
        "python -m analysis.training_free --lay-out sysu",
        "python -m analysis.trainingfree",
        "usvi-bench search query.png --gallery gallery.npz --model RUN",
        "torchrun --nproc-per-node 4 run.py --method sclhm --protocl sysu_all",
        "make tri",
        'pip install ".[gpus]"',
        "pythonn run.py --list",
    ],
)
def test_a_mistake_in_a_page_is_found(line: str) -> None:
    with pytest.raises((AssertionError, UsageError, ModuleNotFoundError)):
        check(Command("page", tuple(shlex.split(line)), True))
