"""Settings on synthetic people follow from those on the real set of the layout by the rules in ``docs/methods.md``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from usvi_bench.core.registry import METHODS
from usvi_bench.engine.load_config import load_config

IMAGES = {"sysu": ((56 + 30), (10 + 6.5)), "regdb": ((10 + 10), (8 + 8))}
"""Mean number of images of a person, visible and infrared: real set, synthetic people."""
PROTOCOLS = {"sysu": "sysu_all", "regdb": "regdb_v2i"}
CORE_POINT = 4
"""Images within the radius that a core point needs, ``min_samples``."""

Settings = Mapping[str, Any]
Rule = Callable[[str, float, Settings, Settings], float]
"""Rule: layout, value on the real set, all settings on the real set and on synthetic people -> value."""


def half(_: str, value: float, real: Settings, own: Settings) -> float:
    return value // 2


def half_for_a_core_point(_: str, value: float, real: Settings, own: Settings) -> float:
    return max(value // 2, CORE_POINT)


def half_and_even(_: str, value: float, real: Settings, own: Settings) -> float:
    return 2 * round(value / 4 + 1e-9)


def with_k1(_: str, value: float, real: Settings, own: Settings) -> float:
    return round(value * own["k1"] / real["k1"])


def with_images(layout: str, value: float, real: Settings, own: Settings) -> float:
    before, after = IMAGES[layout]
    return round(value * after / before)


def with_batch(_: str, value: float, real: Settings, own: Settings) -> float:
    return value / 4  # 8 clusters x 4 images of a modality instead of 8 x 16


SHARED: dict[str, Rule | float] = {"k1": half, "k2": half_for_a_core_point, "eps": 0.6, "ema_window": 0.1}
RULES: dict[str, dict[str, Rule | float]] = {
    "bmil": {"joint_k1": half_and_even, "joint_k2": half_for_a_core_point, "subset": 1.0},
    "dmic": {"k1": 15, "k2": with_k1, "joint_k2": with_k1, "narrowing": 0.7},
    "hil": {"sub_centres": with_images},
    "mmm": {"joint_k1": half, "joint_k2": half},
    "nulc": {"neighbours": with_images},
    "pclhd": {"joint_k1": half, "joint_k2": half, "dynamic_slots": with_batch},
    "rpnr": {"calibrate_members": with_images},
    "soft_prototype": {"slots": half, "instance_extra": with_batch},
}


def settings(method: str, profile: str, layout: str) -> dict[str, Any]:
    tree = load_config(method, PROTOCOLS[layout], profile=profile).settings()["method"]
    assert isinstance(tree, dict)
    return tree


@pytest.mark.parametrize("layout", IMAGES)
@pytest.mark.parametrize("method", [name for name in METHODS.names() if name != "untrained"])
def test_settings_follow_the_rules(method: str, layout: str) -> None:
    real, own = settings(method, layout, layout), settings(method, f"synthetic_{layout}", layout)
    rules = {**SHARED, **RULES.get(method, {})}
    for name, value in own.items():
        rule = rules.get(name, real[name])
        expected = rule(layout, real[name], real, own) if callable(rule) else rule
        assert value == expected, f"{name} of {method}"
