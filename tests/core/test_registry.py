"""Registry: unique names, and suggestions for misspelt ones."""

from __future__ import annotations

import pytest

from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import METHODS, Registry


def test_a_name_is_taken_once() -> None:
    registry = Registry("thing", "usvi_bench.core")

    @registry.register("one")
    class One:
        pass

    with pytest.raises(
        UsageError, match=r"the thing 'one' is already registered, by .*test_registry.*; choose another name"
    ):
        registry.register("one")(One)
    registry.forget("one")
    registry.register("one")(One)
    assert registry.get("one") is One


def test_a_misspelt_name_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="unknown method 'schlm': did you mean sclhm"):
        METHODS.get("schlm")
