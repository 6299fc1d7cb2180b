"""Odd values of every setting are refused in one line, or are finite and within declared bounds."""

from __future__ import annotations

import math
import typing
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from usvi_bench.cli.main import main
from usvi_bench.components.augment import AugmentConfig
from usvi_bench.components.encoder.registered import network_class
from usvi_bench.core.bounds import bounded, bounds_of, check_bounds
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import ENCODERS, METHODS
from usvi_bench.engine.config import DataConfig, EngineConfig, RunConfig, TrainConfig
from usvi_bench.engine.load_config import build, load_config
from usvi_bench.methods.base import MethodConfig
from usvi_bench.protocols.base import ProtocolConfig

ODD: list[Any] = [
    *["", " ", "nan", "inf", "-inf", "-1", "1e400", "1e308", "-1e308", "9" * 30, "9" * 5000, "0x10", "true", "none"],
    *["[]", "{}", "1,2", "abc", "../x", "a\nb", "a\0b", "\u200b"],
    *[[], [1], {}, {"a": 1}],
]


def classes() -> Iterator[tuple[str, type[Any], dict[str, Any]]]:
    common = {"data": DataConfig, "train": TrainConfig, "augment": AugmentConfig, "engine": EngineConfig}
    yield from ((section, cls, {}) for section, cls in common.items())
    yield "protocol", ProtocolConfig, {}
    yield from (("encoder", network_class(name).Config, {"name": name}) for name in ENCODERS.own_names())
    yield from (("method", METHODS.get(name).Config, {}) for name in METHODS.own_names())


SETTINGS = [(section, cls, given, item.name) for section, cls, given in classes() for item in fields(cls)]


@pytest.mark.parametrize(
    ("section", "cls", "given", "name"),
    SETTINGS,
    ids=[f"{cls.__name__}-{given.get('name', '')}-{name}" for _, cls, given, name in SETTINGS],
)
def test_an_odd_value_is_refused_in_a_line_or_is_in_bounds(
    section: str, cls: type[Any], given: dict[str, Any], name: str
) -> None:
    for value in ODD:
        made = message = None
        try:
            made = build(cls, {**given, name: value}, section)
            network_class(made.name) if name == "name" else None
        except UsageError as error:
            message = str(error)
        if message is not None:
            assert "\n" not in message, value
            assert len(message) < 400, value
            assert name in message or name in ("lr_schedule", "name"), value
            continue
        found = getattr(made, name)
        for number in found if isinstance(found, tuple) else [found]:
            if isinstance(number, (int, float)):
                assert math.isfinite(number), value
                bounds = bounds_of(cls, name)
                assert bounds is None or bounds.hold(number), value


def test_every_number_of_the_suite_has_bounds_that_hold_its_default() -> None:
    seen = 0
    for section, cls, _ in classes():
        hints = typing.get_type_hints(cls)
        for item in fields(cls):
            if not {int, float} & {hints[item.name], *typing.get_args(hints[item.name])}:
                continue
            if (section, item.name) in {("data", "folds"), ("protocol", "shots")}:  # compared with a list
                continue
            bounds = bounds_of(cls, item.name)
            assert bounds is not None, f"{cls.__name__}.{item.name}"
            assert math.isfinite(bounds.low), item.name
            assert math.isfinite(bounds.high), item.name
            assert item.default is None or bounds.hold(item.default), item.name
            seen += 1
    assert seen > 100
    assert bounds_of(RunConfig, "evaluate_every") is not None


@pytest.mark.parametrize(
    "word",
    [
        *["data.height=999999999999", "data.width=2000", "augment.pad=1000000000", "encoder.width=1000000000"],
        *["method.sub_centres=1000000000", "train.instances=100000000000", "engine.threads=5000", "train.lr=inf"],
        *["method.mccl_weight=inf", "method.mccl_weight=1e9", "train.embed_batch=1e9", "encoder=3", "train="],
        *[
            "train.instances=4096",
            "engine.threads=1000",
            "engine.timeout=1e18",
            "engine.timeout=9999999999",
            "evaluate_every=-1",
        ],
        *["method=1", "=3", "train..lr=3", ".=1", "method.=1", "data.folds=a", "seed=1", "train.lr.x=3"],
    ],
)
def test_the_command_ends_before_any_work(
    word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def begun(*_: object) -> None:
        raise AssertionError("the run has begun")

    monkeypatch.setattr("usvi_bench.engine.experiment.check_network", begun)
    words = ["--method", "hil", "--protocol", "sysu_all", "--data", "synthetic:size=tiny", "--set", word]
    assert main([*words, "--output", str(tmp_path / "runs")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert word.partition("=")[0].partition(".")[0] in line
    assert not (tmp_path / "runs").exists()


def test_the_widening_of_dmic_is_bounded() -> None:
    with pytest.raises(UsageError, match=r"method\.widening=1000000\.0 must be from 1 to 100"):
        load_config("dmic", "sysu_all", profile="sysu", settings={"method.widening": 1e6})


def test_bounds_are_inherited_and_foreign_numbers_are_finite() -> None:
    @dataclass(frozen=True)
    class Own(METHODS.get("cluster_contrast").Config):  # type: ignore[misc]
        eps: float = 0.3
        mine: float = 1.0

    with pytest.raises(UsageError, match=r"method\.eps=2\.0 must be from"):
        Own(eps=2.0)
    for value in (math.nan, math.inf, 10**400):
        with pytest.raises(UsageError, match=r"method\.mine=.* is not a finite number"):
            Own(mine=value)

    @dataclass(frozen=True)
    class Silent(MethodConfig):
        mine: int = bounded(3, 1, 5)

        def __post_init__(self) -> None:
            """Check nothing."""

    with pytest.raises(UsageError, match=r"method\.mine=7 must be from 1 to 5"):
        build(Silent, {"mine": "7"}, "method")
    with pytest.raises(UsageError, match="must be from 1 to 5"):
        check_bounds(Silent(9), "method")
