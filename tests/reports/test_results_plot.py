"""CMC and results of several methods, compared with loops over queries and with the published figures."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import fmean, stdev

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from scipy import stats

from tests.leaderboard.records import make_record, make_score
from usvi_bench.core.record import Record
from usvi_bench.protocols.base import QueryScores
from usvi_bench.reports.cmc import cmc_curves, cmc_figure, cmc_picture
from usvi_bench.reports.groups import Group
from usvi_bench.reports.results_plot import published_values, results, results_figure, results_picture
from usvi_bench.reports.runs import RecordedRun
from usvi_bench.reports.site.intervals import half_interval
from usvi_bench.reports.style import looks

TRIALS, QUERIES = 3, 40


def make_query_run(seed: int, method: str = "adca", **changes: object) -> RecordedRun:
    random = np.random.default_rng(seed)
    first = random.integers(-1, 30, (TRIALS, QUERIES))
    precision = np.where(first < 0, np.nan, random.random((TRIALS, QUERIES)))
    scores = QueryScores(precision, first, np.arange(QUERIES), tuple(map(str, range(QUERIES))))
    values = [make_score(0.3 + seed / 10)]
    run = RecordedRun(f"{method}-{seed}", make_record(method=method, seed=seed, scores=values, **changes), None)
    run.__dict__["queries"] = {1: scores}  # in place of the file
    return run


@pytest.fixture(scope="module")
def groups() -> list[Group]:
    return [Group("adca", [make_query_run(seed) for seed in range(3)]), Group("pgm", [make_query_run(7, "pgm")])]


def test_the_curve_is_the_mean_of_a_loop_and_the_band_is_the_range(groups: list[Group]) -> None:
    expected = []
    for run in groups[0].runs:
        first = (run.queries or {})[1].first_match_rank
        expected.append(
            [fmean(fmean(float(rank < k) for rank in trial if rank >= 0) for trial in first) for k in range(1, 21)]
        )
    np.testing.assert_allclose(cmc_curves(groups)["adca"], expected)
    (axes,) = cmc_figure(cmc_curves(groups)).axes
    several, single = axes.get_lines()
    np.testing.assert_allclose(several.get_ydata(), np.mean(expected, axis=0))
    assert list(single.get_xdata()) == list(range(1, 21))
    (band,) = axes.collections  # one: a method with a single seed has none
    corners = band.get_paths()[0].vertices
    np.testing.assert_allclose([corners[:, 1].min(), corners[:, 1].max()], [np.min(expected), np.max(expected)])


def test_the_note_of_the_curve_counts_queries_and_seeds(groups: list[Group]) -> None:
    picture = cmc_picture("sysu_all", groups)
    assert picture is not None
    valid = sum(bool((column >= 0).any()) for column in (groups[0].runs[0].queries or {})[1].first_match_rank.T)
    assert f"n = {valid} valid queries, 1 fold, 3 trials" in picture.foot
    assert "adca: seeds 0, 1, 2; pgm: seed 7" in picture.foot
    assert "No band: pgm with one seed." in picture.caption
    lacking = Group("old", [RecordedRun("old", groups[0].runs[0].record, None)])
    assert "old" not in cmc_curves([lacking, *groups])
    assert cmc_picture("sysu_all", [lacking]) is None


def test_many_lines_have_different_styles() -> None:
    styles = [(look["color"], look["linestyle"]) for look in looks(16)]
    assert len(set(styles)) == 16


def test_the_interval_is_that_of_students_t() -> None:
    values = [1.0, 2.0, 4.0]
    low, high = stats.t.interval(0.95, 2, fmean(values), stdev(values) / math.sqrt(3))
    assert half_interval(values) == pytest.approx((high - low) / 2)
    assert half_interval(values[:1]) == 0.0


def test_a_row_has_its_mean_its_interval_and_its_seeds(groups: list[Group]) -> None:
    found = results(groups)
    axes = results_figure(found).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["adca", "pgm"]
    values = [100 * value for value in groups[0].values("mAP")]
    first = [line for line in axes.get_lines() if set(line.get_ydata()) == {0}]
    assert list(first[0].get_xdata()) == pytest.approx(
        [fmean(values) - half_interval(values), fmean(values) + half_interval(values)]
    )
    assert list(first[1].get_xdata()) == pytest.approx([fmean(values)])
    (seeds,) = [line for line in axes.get_lines() if line.get_label() == "one seed"]
    assert sorted(seeds.get_xdata()) == pytest.approx(sorted(values))
    assert len([line for line in axes.get_lines() if set(line.get_ydata()) == {1}]) == 1  # one seed: the dot alone
    picture = results_picture("sysu_all", groups)
    assert picture is not None
    assert "One seed, no interval: pgm." in picture.caption
    assert "published" not in picture.caption


def test_published_values_are_beside_results_on_real_images_only() -> None:
    def real(method: str = "adca") -> Record:
        return make_record(real=True, method=method, scores=[make_score(0.3)])

    assert published_values(make_record(method="adca", scores=[make_score(0.3)])) == {}
    values = published_values(real())
    assert values == {"mAP": 42.73, "R1": 45.51}  # table of the paper
    assert published_values(real("sclhm")) == {}  # nothing is published
    many = real()
    multi = replace(many.result, headline={**many.result.headline, "shots": 10})
    assert published_values(replace(many, result=multi)) == {}
    for data in ("trained_on", "donors"):  # not the training that papers describe
        other = replace(many.result, **{data: many.result.dataset})  # type: ignore[arg-type]
        assert published_values(replace(many, result=other)) == {}
    axes = results_figure(results([Group("adca", [RecordedRun("a", real(), None)])])).axes[0]
    (diamond,) = [line for line in axes.get_lines() if line.get_marker() == "D"]
    assert list(diamond.get_xdata()) == [values["mAP"]]
    assert to_rgb(diamond.get_markerfacecolor()) == (1, 1, 1)
    picture = results_picture("x", [Group("adca", [RecordedRun("a", real(), None)])])
    assert picture is not None
    assert "Diamond: published value" in picture.caption
