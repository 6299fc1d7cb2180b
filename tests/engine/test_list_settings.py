"""``settings``: every setting with its meaning, range, default and value in force; names that users may mean."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from usvi_bench.cli.main import main
from usvi_bench.cli.train import parser
from usvi_bench.core.errors import UsageError
from usvi_bench.core.field_docs import field_docs
from usvi_bench.core.registry import ENCODERS, METHODS
from usvi_bench.core.settings import flatten
from usvi_bench.engine.describe import describe_method
from usvi_bench.engine.find_setting import FOREIGN, all_groups, explain_words
from usvi_bench.engine.list_settings import list_settings, value_text
from usvi_bench.engine.load_config import load_config, parse_settings


def test_a_text_is_shown_as_it_is_given() -> None:
    assert [value_text(value) for value in (r"_C(\D+)", False, 1e-5)] == [r"_C(\D+)", "false", "1e-05"]


TINY = ["--data", "synthetic:size=tiny"]
FLAGS = [flag for action in parser()._actions for flag in action.option_strings]


@pytest.mark.parametrize("method", METHODS.own_names())
def test_every_setting_is_listed_with_a_meaning(method: str) -> None:
    config = load_config(method, "sysu_all", profile="sysu")
    listed = {setting.name: setting for setting in list_settings(config)}
    expected = {
        **flatten(config.settings()),
        **{f"engine.{f.name}": getattr(config.engine, f.name) for f in fields(config.engine)},
    }
    assert {name: setting.value for name, setting in listed.items()} == {
        name: tuple(value) if isinstance(value, list) else value for name, value in expected.items()
    }
    assert [name for name, setting in listed.items() if not setting.meaning or not setting.type] == []


@pytest.mark.parametrize("encoder", ENCODERS.own_names())
def test_the_settings_of_an_encoder_have_a_meaning(encoder: str) -> None:
    assert {item.name for item in fields(ENCODERS.get(encoder).Config)} <= set(field_docs(ENCODERS.get(encoder).Config))


def test_the_list_is_readable_at_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["settings", "sclhm", *TINY, "--schedule", "quick"]) == 0
    out = capsys.readouterr().out
    assert "train.epochs = 2  (default 50)\n    Epochs per stage;" in out
    assert "A number from 0 to 1." in out
    assert "One of step, cosine." in out or "One of cosine, step." in out
    lines = out.splitlines()[1:]
    assert max(map(len, lines)) <= 80
    assert "``" not in out
    assert not re.search(r":\w+:", out)


def test_the_list_as_json_has_the_values_in_force(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    schedule = tmp_path / "mine.toml"
    schedule.write_text("[train]\nepochs = 7\n")
    words = ["settings", "pgm", *TINY, "--schedule", str(schedule), "--set", "method.eps=0.3", "--json"]
    assert main([*words, "--filter", "EPOCHS", "stage"]) == 0
    listed = {item["name"]: item for item in json.loads(capsys.readouterr().out)["settings"]}
    assert listed["train.epochs"] == {
        "name": "train.epochs",
        "type": "a whole number",
        "range": "from 1 to 100,000",
        "default": 50,
        "value": 7,
        "meaning": "Epochs per stage; images are clustered again before each epoch.",
    }
    assert "method.eps" not in listed


def test_settings_and_describe_agree(capsys: pytest.CaptureFixture[str]) -> None:
    described = "\n".join(describe_method("pgm", "sysu_all"))
    found = re.search(r"\| method.momentum +\| +([\d.]+) \| +([\d.]+) ", described)
    assert found is not None
    for setting, value in zip(("shared", "paper"), found.groups(), strict=True):
        values = load_config("pgm", "sysu_all", profile="sysu", setting=setting)
        (listed,) = [each for each in list_settings(values) if each.name == "method.momentum"]
        assert str(listed.value) == value
    assert "settings pgm" in described


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["settings", "lr"], "unknown method 'lr'; to find settings, give --filter lr"),
        (["settings", "pgn"], "did you mean pgm"),
        (["settings", "cluster_contrst"], "did you mean cluster_contrast"),
        (["settings", "pgm", "--filter", "qqq"], "--filter qqq: no setting has these words"),
        (["settings", "--setting", "paper"], "--setting paper differs between methods: give METHOD"),
        (["settings", "pgm", *TINY, "--set", "method.eps=2"], "method.eps=2.0 must be"),
    ],
)
def test_wrong_words_are_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_words_of_other_code_bases_name_settings_and_options_that_exist() -> None:
    known = {f"{group}.{name}" if group else name for group, names in all_groups().items() for name in names}
    assert {full for each in FOREIGN.values() for full in each} <= known | set(FLAGS)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("--epochs 3", "did you mean --set train.epochs=3?"),
        ("--epoch=3", "did you mean --set train.epochs=3?"),
        ("--gpu 1", "did you mean --device? To select a GPU, set CUDA_VISIBLE_DEVICES=1"),
        ("--gpus 2", "start one process for each GPU: torchrun --nproc-per-node 2 run.py"),
        ("--num-gpus=4", "torchrun --nproc-per-node 4"),
        ("--lr 0.1", "did you mean --set train.lr=0.1?"),
        ("--train.lr 0.1", "did you mean --set train.lr=0.1?"),
        ("--cross-weight 1", "did you mean --set method.cross_weight=1?"),
        ("--batch-size 64", "P x K images of each modality: --set train.visible_clusters=P"),
        ("--methd pgm", "did you mean --method"),
        ("--seeds 0", "a run has one seed, --seed N; repeat the command for each"),
        ("--mode indoor", "are protocols: --protocol sysu_all, --protocol sysu_indoor"),
        ("--trial 3", "all ten trials of SYSU-MM01 are scored; a trial of RegDB is a fold: --set data.folds=3"),
        (
            "--lr 0.1 --iters 3",
            "for --lr, did you mean --set train.lr=0.1?; for --iters, did you mean --set train.iter",
        ),
        ("--zzzz 1", ""),
    ],
)
def test_an_unknown_option_suggests_a_setting_or_an_option(words: str, hint: str) -> None:
    found = explain_words(words.split(), FLAGS)
    assert hint in found
    assert bool(hint) == bool(found)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("epochs=3", "unknown setting 'epochs': did you mean train.epochs?"),
        ("lr=0.1", "unknown setting 'lr': did you mean train.lr?"),
        ("num_workers=2", "unknown setting 'num_workers': did you mean engine.threads?"),
        ("train.eps=0.1", "unknown setting 'train.eps': did you mean method.eps?"),
        ("method.smoothing=1", "unknown setting 'method.smoothing': it is a setting of sclhm"),
        ("smoothing=1", "unknown setting 'smoothing': it is a setting of sclhm"),
        ("qqq=1", "unknown setting 'qqq': known: augment, data"),
        ("train.amp=half", "train.amp is an earlier name: train.precision=half"),
        ("encoder.bn=groups=5000", "encoder.bn=groups=5000: choose"),
    ],
)
def test_an_unknown_setting_is_named_as_it_was_typed(word: str, message: str) -> None:
    with pytest.raises(UsageError) as found:
        load_config("pgm", "sysu_all", profile="sysu", settings=parse_settings([word]))
    assert str(found.value).startswith(message)


def test_texts_of_fields_are_inherited_and_replaced() -> None:
    @dataclass
    class Parent:
        """Parent.

        Attributes:
            first: a text
                on two lines.
        """

        first: int = 0
        second: int = 0
        """Second."""

    @dataclass
    class Child(Parent):
        second: int = 1
        """Another second."""
        third: int = 2

    assert field_docs(Child) == {"first": "a text on two lines.", "second": "Another second."}
