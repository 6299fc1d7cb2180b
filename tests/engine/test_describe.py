"""``describe``: differences between settings and forms of a method, and the command that imitates a release."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from usvi_bench.cli.main import main
from usvi_bench.cli.train import experiment_of, parser
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import METHODS
from usvi_bench.core.settings import flatten
from usvi_bench.engine.describe import describe_method, released_form
from usvi_bench.engine.load_config import load_config, methods_with


def described(method: str, protocol: str = "sysu_all") -> str:
    return "\n\n".join(describe_method(method, protocol))


def rows_of(text: str) -> dict[str, list[str]]:
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {name: values for name, *values in lines}


@pytest.mark.parametrize(("protocol", "profile"), [("sysu_all", "sysu"), ("regdb_v2i", "regdb")])
@pytest.mark.parametrize("method", METHODS.names())
def test_every_difference_is_listed_and_nothing_else(method: str, protocol: str, profile: str) -> None:
    rows = rows_of(described(method, protocol))
    if method not in methods_with("paper", profile):
        assert "paper" not in rows.get("setting", [])
        return
    shared, paper = (
        flatten(load_config(method, protocol, profile=profile, setting=setting).settings())
        for setting in ("shared", "paper")
    )
    different = {name for name in paper if shared[name] != paper[name]}
    listed = {name for name, (first, second, *_) in rows.items() if first != second} - {"setting", ":--"}
    assert listed == different
    assert different


@pytest.mark.parametrize("method", METHODS.names())
def test_a_released_form_is_described_by_its_defects_and_a_command(method: str) -> None:
    text, cls = described(method), METHODS.get(method)
    released = released_form(cls)
    if released is None:
        assert "There is no form 'released'" in text
        assert "--set" not in text
        return
    for name, function in vars(released).items():
        if callable(function):
            assert f"  * {name}: {(function.__doc__ or '').split('.')[0].split(chr(10))[0]}" in text
    words = shlex.split(text.splitlines()[-1])
    experiment = experiment_of(parser().parse_args(words[words.index("--method") :]))
    assert (experiment.method, experiment.setting) == (method, "paper")
    assert experiment.settings == {"method.form": "released"}
    config = load_config(method, "sysu_all", profile="sysu", setting="paper", settings=experiment.settings)
    assert cls.in_form(config.method_config) is released


def test_the_jitter_of_a_released_form_is_in_the_table() -> None:
    rows = rows_of(described("pgm"))
    assert rows["setting"] == ["shared", "paper", "paper, released"]
    assert rows["augment.jitter_8bit"] == ["false", "false", "true"]
    assert rows["method.momentum"] == ["0.1", "0.2", "0.2"]


def test_the_command_prints_the_description(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "hil", "--protocol", "regdb_i2v"]) == 0
    assert capsys.readouterr().out.strip() == described("hil", "regdb_i2v").strip()
    assert main(["describe", "hil2"]) == 2
    assert "did you mean" in capsys.readouterr().err


def test_a_class_from_outside_has_no_released_form(tmp_path: Path) -> None:
    mine = type("PGM", (METHODS.get("pgm"),), {"__module__": "elsewhere.pgm"})
    assert released_form(mine) is None
    with pytest.raises(UsageError, match="unknown"):
        described("pgm", "nothing")
