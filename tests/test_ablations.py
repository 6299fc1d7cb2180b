"""Ablation grids: every row is a valid setting of its method."""

from __future__ import annotations

from pathlib import Path

import pytest

from usvi_bench.core.registry import METHODS
from usvi_bench.engine.load_config import build
from usvi_bench.engine.read_settings import CONFIGS, read_file

GRIDS = sorted((CONFIGS / "ablations").rglob("*.toml"))


@pytest.mark.parametrize("grid", GRIDS, ids=[f"{path.parent.name}/{path.stem}" for path in GRIDS])
def test_a_grid_holds_different_valid_settings_of_a_registered_method(grid: Path) -> None:
    method = grid.stem
    rows = read_file(grid)["rows"]
    assert len(rows) > 1
    cls = METHODS.get(method)
    built = []
    for name, row in rows.items():
        assert name.strip()
        assert set(row) <= {"method", "train"}, name
        config = build(cls.Config, row.get("method", {}), "method")
        assert cls.stages(config)[-1].method == method
        built.append((config, str(row.get("train"))))
    default = (cls.Config(), "None")  # the full method, which a sweep may contain again
    assert all(row not in built[:i] for i, row in enumerate(built) if row != default), "two rows are the same"
