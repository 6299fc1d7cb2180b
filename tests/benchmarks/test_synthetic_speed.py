"""Speed of the generator, measured on a few images in this process."""

from __future__ import annotations

import pytest

from usvi_bench.benchmarks.synthetic_speed import Speed, measure, rate_cells
from usvi_bench.core.errors import UsageError
from usvi_bench.synthetic.spec import SyntheticSpec


def test_a_sample_gives_a_rate_and_sizes_follow_from_it() -> None:
    speed = measure("regdb", SyntheticSpec(size="tiny"), 64, workers=1)
    assert speed.images >= 32
    assert speed.rate > 0.5
    assert speed.start > 0


def test_projection_is_start_and_images_over_rate() -> None:
    speed = Speed("sysu", 288, 100, rate=10.0, start=3.0)
    assert speed.seconds("full") == pytest.approx(3 + 44745 / 10)
    assert rate_cells([speed])[0][-1] == "4478"


def test_one_batch_is_no_rate() -> None:
    with pytest.raises(UsageError, match="single batch"):
        measure("regdb", SyntheticSpec(size="tiny"), 1, workers=1)
