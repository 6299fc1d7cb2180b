"""Curves of the journal's numbers, tested by the data of their lines."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.reports.fake_run import epoch_line, two_stages
from usvi_bench.reports.curves import (
    clusters_figure,
    cost_figure,
    epochs_of,
    losses_figure,
    matched_epochs,
    matches_figure,
    quality_figure,
    scores_figure,
)
from usvi_bench.reports.side_by_side import shared_spans
from usvi_bench.reports.style import COLUMN, PAGE, new_figure, shared_legend, styled

LINES = two_stages()
EPOCHS = epochs_of(LINES, fold=1)


def line(axes: Axes, label: str) -> tuple[list[float], list[float]]:
    """Return the data of the line with a label."""
    (found,) = [item for item in axes.get_lines() if item.get_label() == label]
    return list(found.get_xdata()), list(found.get_ydata())


def test_epochs_of_one_fold_are_in_training_order() -> None:
    other = [epoch_line(epoch, fold=2) for epoch in range(3)]
    shuffled = [*reversed(LINES), *other]
    assert epochs_of(shuffled, fold=1) == EPOCHS
    assert [(e["stage_index"], e["epoch"]) for e in EPOCHS] == [(s, e) for s in (0, 1) for e in range(4)]
    assert epochs_of(shuffled, fold=2) == other


def test_losses_and_the_gap_of_a_loss_that_starts_later() -> None:
    axes, _ = losses_figure(EPOCHS).axes
    assert line(axes, "visible") == ([1, 2, 3, 4, 5, 6, 7, 8], pytest.approx([2.9, 2.8, 2.7, 2.6] * 2))
    heights = line(axes, "hybrid")[1]
    assert np.isnan(heights[:4]).all()
    assert heights[4:] == pytest.approx([0.9, 0.8, 0.7, 0.6])
    assert axes.get_ylim()[0] == 0


def test_a_negative_loss_stays_visible() -> None:
    axes, _ = losses_figure([epoch_line(0, losses={"reward": -2.0}), epoch_line(1, losses={"reward": -3.0})]).axes
    low, high = axes.get_ylim()
    assert low <= -3 < -2 < high


def test_a_new_stage_is_marked_once_between_its_epochs() -> None:
    axes, _ = losses_figure(EPOCHS).axes
    boundaries = [item for item in axes.get_lines() if item.get_linestyle() == ":" and len(item.get_xdata()) == 2]
    assert [list(item.get_xdata()) for item in boundaries] == [[4.5, 4.5]]
    single, _ = losses_figure(EPOCHS[:4]).axes
    assert not [item for item in single.get_lines() if item.get_linestyle() == ":"]


@pytest.mark.parametrize(
    "draw",
    [losses_figure, clusters_figure, quality_figure, matches_figure, cost_figure],
    ids=lambda draw: draw.__name__,
)
def test_stages_are_numbered_in_every_panel_and_named(draw: Callable[..., Figure]) -> None:
    figure = draw(EPOCHS)
    drawn = "2 sclhm" if draw is matches_figure else "1 cluster_contrast, 2 sclhm"
    assert [text.get_text() for text in figure.texts] == [f"stage: {drawn}"]
    for axes in figure.axes:
        assert [(text.get_text(), text.xy[0]) for text in axes.texts] == [("1", 2.5), ("2", 6.5)]


def test_stages_of_several_runs_are_named_if_they_start_together() -> None:
    short, long = [("base", 1, 4)], [("base", 1, 4), ("pgm", 5, 8)]
    assert shared_spans([short, long, [("base", 1, 4), ("adca", 5, 6)]]) == [("base", 1, 4), ("pgm or adca", 5, 8)]
    assert shared_spans([long, [("base", 1, 2), ("adca", 3, 8)]]) == []


def test_cost_shows_every_phase_and_leaves_a_gap_where_memory_is_unknown() -> None:
    unknown = epoch_line(4, clustering={"search_seconds": 0.3})
    seconds, clustering, step, memory = cost_figure([*EPOCHS[:4], unknown]).axes
    assert line(clustering, "distances")[1][:4] == [0.15] * 4
    assert line(step, "_step")[1] == pytest.approx([100.0] * 5)  # 4 s over 40 steps, in ms
    assert line(memory, "peak")[1] == [500.0] * 5
    assert [line(seconds, phase)[1][0] for phase in ("embed", "cluster", "train")] == [1.0, 0.5, 4.0]
    heights = line(memory, "clustering")[1]
    assert heights[:4] == [20.0, 21.0, 22.0, 23.0]
    assert np.isnan(heights[4])


def test_clusters_are_drawn_with_the_true_count() -> None:
    counts, outliers = clusters_figure(EPOCHS).axes
    assert line(counts, "visible")[1] == [40, 39, 38, 37] * 2
    assert line(counts, "infrared")[1] == [20, 21, 22, 23] * 2
    assert line(counts, "true people (32)")[1] == [32, 32]
    assert line(outliers, "visible")[1] == pytest.approx([0.25, 0.225, 0.2, 0.175] * 2)
    assert line(outliers, "infrared")[1] == pytest.approx([0.1] * 8)
    assert counts.get_ylim()[0] == outliers.get_ylim()[0] == 0
    assert outliers.yaxis.get_major_formatter()(0.25) == "25"  # labelled in percent


def test_modalities_with_different_people_have_two_lines() -> None:
    counts = clusters_figure([epoch_line(0, identities={"visible": 32, "infrared": 30})]).axes[0]
    assert line(counts, "true visible people (32)")[1] == [32, 32]
    assert line(counts, "true infrared people (30)")[1] == [30, 30]


def test_quality_of_both_modalities() -> None:
    figure = quality_figure(EPOCHS)
    visible, infrared = figure.axes
    assert line(visible, "ARI")[1] == pytest.approx([0.1, 0.2, 0.3, 0.4] * 2)
    assert line(infrared, "purity")[1] == pytest.approx([0.2, 0.3, 0.4, 0.5] * 2)
    assert {axes.get_ylim() for axes in (visible, infrared)} == {(0, 1.03)}


def test_people_that_are_not_known_are_not_drawn() -> None:
    unknown = [epoch_line(0, identities={"visible": 0, "infrared": 0})]
    labels = [item.get_label() for item in clusters_figure(unknown).axes[0].get_lines()]
    assert labels == ["visible", "infrared"]
    half = [epoch_line(0, identities={"visible": 32, "infrared": 0})]
    assert line(clusters_figure(half).axes[0], "true visible people (32)")[1] == [32, 32]


def test_matches_of_the_stage_that_makes_them() -> None:
    figure = matches_figure(EPOCHS)
    (axes,) = figure.axes
    for label, first in (("correct cluster matches", 0.1), ("precision", 0.05), ("recall", 0.2)):
        heights = line(axes, label)[1]
        assert np.isnan(heights[:4]).all()
        assert heights[4:] == pytest.approx([first * (epoch + 1) for epoch in range(4)])
    assert axes.get_xlim() == (4.5, 8.5)  # without the first stage
    assert matched_epochs(EPOCHS) == range(4, 8)
    assert not matched_epochs(EPOCHS[:4])


def test_the_legends_of_the_cost_do_not_cover_lines() -> None:
    with styled():
        for width in (COLUMN, PAGE):
            figure = cost_figure(EPOCHS, width)
            figure.draw_without_rendering()
            boxes = [axes.get_window_extent() for axes in figure.axes]
            legends = [axes.get_legend().get_window_extent() for axes in figure.axes if axes.get_legend()]
            assert len(legends) == 3
            assert not [1 for legend in legends for box in boxes if legend.overlaps(box)]


def test_learning_rate_is_drawn_below_the_losses() -> None:
    _, rate = losses_figure([epoch_line(0, lr=1e-3), epoch_line(1, lr=1e-4)]).axes
    assert line(rate, "_learning rate")[1] == [1e-3, 1e-4]


def test_an_epoch_without_clusters_leaves_a_gap() -> None:
    nothing = {"ari": None, "nmi": None, "purity": None}
    collapsed = epoch_line(1, quality={"visible": nothing, "infrared": nothing, "match_accuracy": None})
    visible = quality_figure([epoch_line(0), collapsed]).axes[0]
    heights = line(visible, "NMI")[1]
    assert heights[0] == pytest.approx(0.3)
    assert np.isnan(heights[1])


def test_scores_by_model() -> None:
    precision, first = scores_figure([entry for entry in LINES if entry["kind"] == "scores"]).axes
    assert line(precision, "student") == ([2, 4], pytest.approx([0.2, 0.2]))
    assert line(first, "teacher") == ([2, 4], pytest.approx([0.15, 0.35]))


def test_one_legend_with_every_label_once() -> None:
    figure = clusters_figure(EPOCHS)
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert sorted(labels) == ["infrared", "true people (32)", "visible"]


@pytest.mark.parametrize(
    ("words", "columns"), [("a", 4), ("dynamic infrared", 3), ("a loss whose name goes on and on", 1)]
)
def test_a_legend_never_grows_wider_than_its_figure(words: str, columns: int) -> None:
    with styled():
        figure, (axes,) = new_figure()
        for i in range(6):
            axes.plot([0, 1], label=f"{words} {i}")
        shared_legend(figure)
        (legend,) = figure.legends
        assert legend.get_window_extent().width <= figure.bbox.width
        assert legend._ncols == columns
