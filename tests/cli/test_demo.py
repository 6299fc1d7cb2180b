"""The command ``demo``: its browser, and its interruption. ``tests/test_newcomer.py`` runs it."""

from __future__ import annotations

import signal
import sys
import webbrowser
from pathlib import Path

import pytest

import usvi_bench.api
from usvi_bench.cli import demo
from usvi_bench.cli.main import main
from usvi_bench.engine.experiment import Experiment


@pytest.mark.parametrize(
    ("display", "terminal", "browser", "words"),
    [
        (":0", True, True, "opened the comparison in a browser"),
        (":0", True, False, "--open: no browser was found; open the page yourself"),
        (":0", False, True, "--open: there is no display here; copy the folder, or open the page yourself"),
        ("", True, True, "--open: there is no display here; copy the folder, or open the page yourself"),
    ],
)
def test_a_browser_needs_a_terminal_with_a_display(
    display: str, terminal: bool, browser: bool, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or browser)
    assert demo._open(tmp_path / "report.html") == words
    assert opened == ([f"file://{tmp_path}/report.html"] if display and terminal else [])


def test_an_interruption_names_the_command_and_a_repetition_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[Experiment, bool]] = []

    def interrupt(experiment: Experiment, *, resume: bool, **_: object) -> None:
        asked.append((experiment, resume))
        raise KeyboardInterrupt

    monkeypatch.setattr(usvi_bench.api, "run_experiment", interrupt)
    monkeypatch.setattr(sys, "argv", ["run.py"])
    assert main(["demo", "--output", str(tmp_path)]) == 128 + signal.SIGINT
    assert capsys.readouterr().err.rstrip().endswith(f"run.py demo --output {tmp_path}")
    ((experiment, resume),) = asked
    assert (experiment.method, experiment.output, resume) == ("cluster_contrast", tmp_path / "runs", True)
