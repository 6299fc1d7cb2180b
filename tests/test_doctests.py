"""Doctests of all modules of the package."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import usvi_bench


def test_every_example_in_a_docstring_holds() -> None:
    examples: dict[str, int] = {}
    for module in pkgutil.walk_packages(usvi_bench.__path__, "usvi_bench."):
        failed, attempted = doctest.testmod(importlib.import_module(module.name))
        assert not failed, f"{module.name}: {failed} examples fail; see the output"
        examples[module.name] = attempted
    assert len(examples) > 200, f"modules were not found: {sorted(examples)}"
    for folder in ("core", "components", "datasets", "protocols", "synthetic"):
        found = [name for name, count in examples.items() if count and name.startswith(f"usvi_bench.{folder}.")]
        assert found, f"no module of {folder} has an example"
