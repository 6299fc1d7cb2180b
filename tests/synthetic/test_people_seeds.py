"""Seeds of people: development, boards and start weights have different ones, and nothing is tuned on the boards'."""

import re
from collections.abc import Iterator

import pytest

from usvi_bench.core.revision import ROOT
from usvi_bench.engine.pretrain import Recipe
from usvi_bench.synthetic.spec import BOARD_SEED, DEVELOPMENT_SEEDS, SyntheticSpec, parse

FOLDERS = ("analysis", "benchmarks", "cli", "components", "configs", "core", "datasets", "docs", "engine", "examples",
           "methods", "protocols", "sweep", "synthetic", "tests")  # fmt: skip
"""Folders with code, settings, examples and texts by which a choice could be made."""
NAMING = {
    "docs/findings/parts.md": "names the command of an ablation",
    "docs/findings/people.md": "names the command of a report",
    "docs/protocols.md": "describes the people of the boards",
    "synthetic/README.md": "describes the people of the boards",
    "synthetic/digests.py": "commits their digest",
    "synthetic/spec.py": "defines their seed",
    "tests/synthetic/test_people_seeds.py": "is this test",
    "tests/synthetic/test_portable_people.py": "tests their digest",
}
"""Files that may name the people of the boards, and why; nothing is chosen there."""


def names_board_people(text: str) -> bool:
    """Return whether a text names the seed of the people of the boards, as a number of people or by its constant."""
    return bool(re.search(rf"BOARD_SEED|synthetic[^\s'\"]*[:,]seed={BOARD_SEED}\b|seed{BOARD_SEED}\b", text))


def texts() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each file of the folders, and of the files beside them."""
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    for path in [*paths, *ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "run.py"]:
        if (
            path.suffix in {".py", ".toml", ".md", ".sh", ".json", ""}
            and path.is_file()
            and "__pycache__" not in path.parts
        ):
            yield path.relative_to(ROOT).as_posix(), path.read_text(errors="replace")


def test_no_people_have_two_uses() -> None:
    pretrained = {parse(people).seed for people in Recipe().people}
    uses = [{SyntheticSpec().seed}, set(DEVELOPMENT_SEEDS), {BOARD_SEED}, pretrained]
    assert sum(map(len, uses)) == len(set.union(*uses)) == 9


def test_nothing_is_tuned_on_the_people_of_the_boards() -> None:
    found = {name for name, text in texts() if names_board_people(text)}
    found.discard("synthetic/digests.json")  # its keys contain all seeds
    assert found <= NAMING.keys(), f"{sorted(found - NAMING.keys())}: use people of DEVELOPMENT_SEEDS"
    assert "synthetic/spec.py" in found


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f"--data synthetic:seed={BOARD_SEED}", True),
        (f"synthetic:size=small,seed={BOARD_SEED},occlusion=0.5", True),
        ("SyntheticSpec(seed=BOARD_SEED)", True),
        (f"sysu-v6-small-128-seed{BOARD_SEED}-cfd38d21", True),
        (f"synthetic:seed={BOARD_SEED}0", False),
        ("synthetic:size=small,seed=100", False),
    ],
)
def test_the_search_finds_people_of_the_boards(text: str, named: bool) -> None:
    assert names_board_people(text) is named


def test_the_search_reads_scripts_and_settings() -> None:
    names = {name for name, _ in texts()}
    assert {"analysis/synthetic_knobs.py", "configs/shared/synthetic_sysu.py", "README.md", "Makefile"} <= names
