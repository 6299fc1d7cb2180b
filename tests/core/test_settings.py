"""Hashes of settings: equal if nothing differs from the committed defaults, also after new settings were added."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from usvi_bench.core import settings
from usvi_bench.core.errors import UsageError
from usvi_bench.core.record import read_record
from usvi_bench.core.settings import committed_defaults, config_hash, differences, digest
from usvi_bench.leaderboard.build import FOLDER

Write = Callable[[int, dict[str, Any]], None]
FIRST = {
    "settings": {"train": {"lr": 0.1, "steps": [1, 2]}, "every": 0},
    "methods": {"pgm": {"eps": 0.6}},
}


@pytest.fixture
def formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Make a folder of committed defaults for the test, with ``FIRST`` as number 1."""

    def write(number: int, content: dict[str, Any]) -> None:
        (tmp_path / f"{number}.json").write_text(json.dumps(content))
        committed_defaults.cache_clear()

    monkeypatch.setattr(settings, "FOLDER", tmp_path)
    write(1, FIRST)
    yield write
    committed_defaults.cache_clear()


def nested(eps: float = 0.6, lr: float = 0.1, **more: Any) -> dict[str, Any]:
    return {"method": {"eps": eps}, "train": {"lr": lr, "steps": (1, 2)}, "every": 0, **more}


def hashed(content: dict[str, Any], **changed: Any) -> str:
    fixed = {"method": "pgm", "protocol": "sysu_all", "setting": "shared", "start": "random", "number": 1}
    return config_hash(content, **{**fixed, **changed})


@pytest.mark.usefixtures("formats")
def test_differences_are_what_is_not_at_its_default() -> None:
    assert differences(nested(), "pgm", 1) == {}
    assert differences(nested(eps=0.4), "pgm", 1) == {"method.eps": 0.4}
    assert differences(nested(every=2, train={"lr": 0.1}), "pgm", 1) == {"every": 2}
    assert differences(nested(train={"lr": 0.1, "steps": [2]}), "pgm", 1) == {"train.steps": [2]}


def test_a_new_setting_at_its_default_changes_no_hash(formats: Write) -> None:
    before, wider = hashed(nested(eps=0.4)), nested(eps=0.4, train={"lr": 0.1, "steps": [1, 2], "warmup": 0})
    assert hashed(wider, new_defaults={"train.warmup": 0}) == before, "before the file of defaults has it"
    formats(1, {**FIRST, "settings": {"train": {"lr": 0.1, "steps": [1, 2], "warmup": 0}, "every": 0}})
    assert hashed(wider) == before, "once the file has it"
    assert hashed(nested(eps=0.4)) == before, "in a record that is older than the setting"
    changed = nested(eps=0.4, train={"lr": 0.1, "steps": [1, 2], "warmup": 5})
    assert hashed(changed) != before


@pytest.mark.usefixtures("formats")
@pytest.mark.parametrize(
    "changed", [{"method": "adca"}, {"protocol": "sysu_indoor"}, {"setting": "paper"}, {"start": "0" * 64}]
)
def test_whatever_makes_another_experiment_changes_the_hash(changed: dict[str, str]) -> None:
    assert hashed(nested(), **changed) != hashed(nested())


def test_a_record_is_hashed_with_the_defaults_of_its_own_number(formats: Write) -> None:
    before = hashed(nested(lr=0.1))
    formats(2, {**FIRST, "settings": {"train": {"lr": 0.2, "steps": [1, 2]}, "every": 0}})
    assert hashed(nested(lr=0.1)) == before
    assert differences(nested(lr=0.1), "pgm", 2) == {"train.lr": 0.1}
    assert hashed(nested(lr=0.2), number=2) != before, "the number is hashed too"
    with pytest.raises(UsageError, match="format 3 are unknown to this version; update"):
        hashed(nested(), number=3)


@pytest.mark.usefixtures("formats")
def test_of_a_method_without_committed_defaults_every_hyper_parameter_counts() -> None:
    found = differences(nested(), "mine", 1, {"method.eps": 0.6})
    assert found == {"method.eps": 0.6}, "its defaults may change without a number"


def test_an_encoder_s_settings_have_defaults_of_their_own(formats: Write) -> None:
    before = hashed(nested(encoder={"name": "wide", "depth": 3}))
    content = {**FIRST, "settings": {**FIRST["settings"], "encoder": {"name": "plain"}}}
    formats(1, {**content, "encoders": {"plain": {"depth": 1}, "wide": {"depth": 3}}})
    assert differences(nested(encoder={"name": "plain", "depth": 1}), "pgm", 1) == {}
    assert differences(nested(encoder={"name": "plain", "depth": 3}), "pgm", 1) == {"encoder.depth": 3}
    assert differences(nested(encoder={"name": "wide", "depth": 3}), "pgm", 1) == {"encoder.name": "wide"}
    assert hashed(nested(encoder={"name": "wide", "depth": 3})) != before
    wider = nested(encoder={"name": "wide", "depth": 3, "heads": 2})
    assert differences(wider, "pgm", 1, {"encoder.heads": 2}) == {"encoder.name": "wide"}, "a new setting"
    found = differences(nested(encoder={"name": "mine", "depth": 1}), "pgm", 1, {"encoder.depth": 1})
    assert found == {"encoder.name": "mine", "encoder.depth": 1}, "of an unknown encoder every setting counts"


def test_the_digest_depends_on_content_only() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


def test_every_committed_record_has_the_hash_of_what_it_holds() -> None:
    paths = [*FOLDER.glob("records/**/*.json"), *FOLDER.glob("ablations/**/record.json")]
    assert len(paths) > 300
    wrong = [path for path in paths if (record := read_record(path)).expected_hash() != record.result.config_hash]
    assert not wrong
