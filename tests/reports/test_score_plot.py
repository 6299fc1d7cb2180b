"""The figure of README shows the scores of the records, in two colour schemes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from usvi_bench.core.figure_style import styled
from usvi_bench.core.revision import ROOT
from usvi_bench.leaderboard.build import FOLDER
from usvi_bench.leaderboard.published_plot import digest_in
from usvi_bench.reports.pages.__main__ import main
from usvi_bench.reports.pages.score_plot import (
    PROTOCOLS,
    REFERENCES,
    THEMES,
    draw_scores,
    plotted_scores,
    scores_digest,
    scores_figure,
)
from usvi_bench.reports.pages.sources import Seeds, Sources

THEME = THEMES["scores.svg"]
Scores = dict[str, dict[str, Seeds]]


@pytest.fixture(scope="module")
def scores() -> Scores:
    return plotted_scores(Sources(FOLDER))


def drawn(scores: Scores) -> Figure:
    with styled():
        return scores_figure(scores, THEME)


def test_every_method_has_a_row_with_its_mean_and_seeds(scores: Scores) -> None:
    figure = drawn(scores)
    first = figure.axes[0]
    labels = [label.get_text() for label in first.get_yticklabels()]
    means = {name: scores["sysu_all"][name].mean() for name in Sources(FOLDER).ranked()}
    assert labels[1:-1] == sorted(means, key=lambda name: -means[name])
    assert [labels[0], labels[-1]] == list(REFERENCES.values())
    for axes, found in zip(figure.axes, scores.values(), strict=True):
        lines = [line for line in axes.get_lines() if line.get_marker() == "o"]
        for row, label in enumerate(labels):
            values = found[{text: name for name, text in REFERENCES.items()}.get(label, label)]
            (mean,) = (line.get_xdata()[0] for line in lines if list(line.get_ydata()) == [row])
            assert mean == pytest.approx(values.mean())
            seeds = [sorted(line.get_xdata()) for line in lines if line.get_ydata()[0] == pytest.approx(row + 0.27)]
            assert seeds == ([pytest.approx(sorted(values))] if len(values) > 1 else [])
            assert f"{values.mean():.1f}" in [text.get_text() for text in axes.texts]


def test_the_committed_figures_agree_with_the_records_and_are_small(scores: Scores) -> None:
    for name in THEMES:
        content = (ROOT / "docs" / name).read_bytes()
        assert digest_in(content) == scores_digest(scores)
        assert len(content) < 150_000
        assert name in (ROOT / "README.md").read_text()


def test_both_themes_show_the_same_on_a_transparent_background(scores: Scores) -> None:
    light, dark = (draw_scores(scores, theme).decode() for theme in THEMES.values())
    assert light != dark
    colours_and_ids = re.compile(r"#[0-9a-f]{6}\b|\b[mp][0-9a-f]{10}\b")
    assert colours_and_ids.sub("", light) == colours_and_ids.sub("", dark)
    assert "fill: #ffffff" not in light


def test_another_score_gives_another_digest(scores: Scores) -> None:
    changed = {**scores, "sysu_all": {**scores["sysu_all"], "pgm": scores["sysu_all"]["pgm"] + 0.1}}
    assert scores_digest(changed) != scores_digest(scores)
    assert list(PROTOCOLS) == list(scores)


def test_a_figure_of_other_scores_is_drawn_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("usvi_bench.reports.pages.__main__.PAGES", [])
    monkeypatch.setattr("usvi_bench.reports.pages.__main__.ROOT", tmp_path)
    assert main(["--write"]) == 0
    plot = tmp_path / "docs" / "scores.svg"
    kept = plot.read_bytes() + b"<!-- another version of matplotlib -->"
    plot.write_bytes(kept)
    assert main(["--write"]) == 0
    assert plot.read_bytes() == kept
    plot.write_bytes(kept.replace(b"sha256:", b"sha256:0"))
    assert main([]) == 1
    assert main(["--write"]) == 0
    assert main([]) == 0
