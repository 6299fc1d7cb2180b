"""A run on a pseudo-terminal: its bars at several widths, its phases, an interruption."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.engine.drawn_training import MARK
from tests.terminal import Screen, run_in_terminal

ROOT = Path(__file__).resolve().parents[2]
WIDTHS = (80, 100, 120)
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
BAR = re.compile(
    rf"[{SPINNER}] [━╸╺]{{8,20}} +(?P<count>\d+/\d+|\d+%) (?P<left>-:--:--|\d+:\d\d:\d\d) left (?P<words>.+)"
)
DRAWN = rf"[{SPINNER}] [━╸╺]{{8,20}} +"
IDLE = re.compile(f"{DRAWN}(?P<words>.+)")
BAR = re.compile(DRAWN + r"(?P<count>\d+/\d+|\d+%) (?P<left>[-\d]:[-\d]{2}:[-\d]{2}) left (?P<words>.+)")


def moments(text: str, width: int) -> list[list[str]]:
    """Return the lines of the screen after each part of a text that ends a redrawing."""
    screen, found = Screen(width), []
    for part in re.split(r"(?=\r)", text):
        screen.write(part)
        found.append(screen.lines)
    return found


def drawn(frames: list[list[str]]) -> set[str]:
    return {line for lines in frames for line in lines if line[:1] and line[0] in SPINNER}


def test_the_count_and_the_time_left_are_visible_at_every_width() -> None:
    command = [sys.executable, "-m", "tests.engine.drawn_training", *map(str, WIDTHS)]
    session = run_in_terminal(command, WIDTHS[0], ROOT)
    assert session.status == 0, session.text
    parts = session.text.split(MARK)
    losses = {}
    for width, text in zip(WIDTHS, parts, strict=False):
        frames = moments(text.lstrip("\r\n"), width)
        lines = drawn(frames)
        assert all(len(line) <= width - len("^C") for line in lines)
        found = [match for line in lines if (match := BAR.fullmatch(line))]
        steps = [match for match in found if match["words"].startswith("stage 1/2  epoch 59/60  1234+987 clusters")]
        assert {match["count"] for match in steps} >= {"87002/180000", "87003/180000"}
        assert any(match["left"] != "-:--:--" for match in steps), "two steps were measured"
        assert any((match["count"], match["words"]) == ("10000/22258", "embedding visible images") for match in found)
        losses[width] = max(match["words"].count("12.3") for match in steps)
        (epoch,) = [line for line in frames[-1] if line.startswith("  epoch")]
        assert len(epoch) <= width
        assert epoch.endswith("clusters 1234+987  outliers 100%  123.4 s")
        assert [line for line in frames[-1] if line[:1] in SPINNER and line] == [], "no bar is left behind"
    assert losses[80] <= losses[100] <= losses[120], losses
    assert losses[120] >= 2


def test_an_interrupted_run_shows_its_phases_and_leaves_the_command_that_continues_it(
    tmp_path: Path, tiny_people: dict[str, Path]
) -> None:
    words = ["--method", "sclhm", "--protocol", "sysu_all", "--data", str(tiny_people["sysu"]), "--schedule", "quick"]
    command = [sys.executable, str(ROOT / "run.py"), *words, "--set", "engine.threads=1", "train.iterations=3"]
    session = run_in_terminal(command, 80, tmp_path, interrupt=lambda lines: any(" scoring" in line for line in lines))
    assert session.status == 130, session.text
    seen = {found["words"].strip() for line in drawn(session.frames) if (found := IDLE.fullmatch(line))}
    phases = ("reading the data set", "embedding visible images", "clustering", "searching neighbours", "scoring")
    assert [phase for phase in phases if not any(phase in words for words in seen)] == []
    assert any(re.search(r"\d/9 .* left stage 2/2  epoch 2/2  \d+\+\d+ clusters", words) for words in seen)
    assert not drawn([session.last]), "no bar is left behind"
    at = next(i for i, line in enumerate(session.last) if line.startswith("interrupted; finished epochs are kept."))
    assert session.last[at - 1].startswith("  epoch   2/2  ")
    assert "".join(session.last[at:]).endswith("--set engine.threads=1 train.iterations=3 --resume")
