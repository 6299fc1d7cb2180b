"""``~`` in the options of all commands that name files and folders."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

import pytest

from usvi_bench.cli.commands import COMMANDS
from usvi_bench.cli.main import main

PATHS = {"FILE", "DIR", "PATH", "FILE.py", "FILE.png", "FILE.csv", "RUN|FILE", "DIR|FILE.csv", "F.npz", "FEATURES.npz"}
"""Words that stand for paths in the help."""
LATER = {"--weights", "--schedule", "--data"}
"""Options of a run that are paths or words; they are expanded where they are read, and tested below."""


@pytest.mark.parametrize("command", ["train", *COMMANDS])
def test_every_path_of_a_command_is_expanded(command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for action in import_module(f"usvi_bench.cli.{command}").parser()._actions:
        assert action.type is not Path, f"{action.dest}: give it the type 'expanded'"
        if action.metavar in PATHS and not LATER & set(action.option_strings):
            assert isinstance(action, argparse.Action)
            assert callable(action.type), action.dest
            assert action.type("~/x") == tmp_path / "x", action.dest


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--weights", "~/w.pth", "--data", "synthetic:size=tiny"], "--weights ~/w.pth: no such file"),
        (["--schedule", "~/s.toml"], "--schedule ~/s.toml: no such file"),
        (["--data", "~/d"], "--data ~/d: no such folder"),
        (["--data", "~/here"], "no SYSU-MM01 there"),
        (["--schedule", "~/here/s.toml"], "here/s.toml: unknown setting 'train.epoch': did you mean train.epochs?"),
        (["--import", "~/here/p.py"], "it registers no method"),
    ],
)
def test_words_that_may_be_paths_are_expanded_and_named_as_they_were_typed(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "s.toml").write_text("[train]\nepoch = 1\n")
    (tmp_path / "here" / "p.py").write_text("")
    assert main(["--method", "untrained", "--protocol", "sysu_all", *words]) == 2
    assert message in capsys.readouterr().err
