"""Planned people have the images of the tree that is rendered from the same specification."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from usvi_bench.core.registry import DATASETS, PROTOCOLS
from usvi_bench.datasets.planned import PlannedDataset
from usvi_bench.synthetic import SyntheticSpec


@pytest.mark.parametrize(
    ("layout", "protocol"), [("sysu", "sysu_all"), ("regdb", "regdb_i2v"), ("llcm", "llcm_v2i"), ("llcm", "llcm_i2v")]
)
def test_planned_people_are_those_of_the_rendered_tree(
    layout: str, protocol: str, tiny_people: dict[str, Path]
) -> None:
    planned, rendered = PlannedDataset(layout, SyntheticSpec(size="tiny")), DATASETS.get(layout)(tiny_people[layout])
    assert planned.folds == rendered.folds
    assert planned.name == rendered.name
    assert planned.images == rendered.synthetic["images"]
    assert planned.entries == rendered.synthetic["spec"]
    for fold, part in product(planned.folds, ("train", "test")):
        for modality in ("visible", "infrared"):
            mine, theirs = (getattr(getattr(dataset, part)(fold), modality) for dataset in (planned, rendered))
            assert mine.paths == theirs.paths
            assert np.array_equal(mine.identities, theirs.identities)
            assert np.array_equal(mine.cameras, theirs.cameras)
        assert PROTOCOLS.get(protocol)().chance(planned, fold) == PROTOCOLS.get(protocol)().chance(rendered, fold)
