"""Distances and causes of errors, compared with loops over pairs and over queries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.reports.fake_run import make_run
from usvi_bench.protocols.evaluation_file import SavedEvaluation, load_evaluation
from usvi_bench.reports import causes
from usvi_bench.reports.colours import difference, lab
from usvi_bench.reports.distances import KINDS, all_distances, density, edges_of


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> SavedEvaluation:
    return load_evaluation(make_run(tmp_path_factory.mktemp("failures"), pictures=False) / "evaluation.npz")


def test_distances_count_every_pair_once(saved: SavedEvaluation) -> None:
    sample = saved.sample.people(4)
    found = {each.kind: each for each in all_distances(sample) if each.when == "after training"}
    for kind, sides in KINDS.items():
        same, different = [], []
        for i in range(len(sample.features)):
            for j in range(i + 1, len(sample.features)):
                if tuple(sorted((bool(sample.infrared[i]), bool(sample.infrared[j])))) == sides:
                    distance = 1 - float(sample.features[i] @ sample.features[j])
                    (same if sample.identities[i] == sample.identities[j] else different).append(distance)
        np.testing.assert_allclose(np.sort(found[kind].same), np.sort(same), atol=1e-6)
        np.testing.assert_allclose(np.sort(found[kind].different), np.sort(different), atol=1e-6)
        wins = np.mean([(d < s) + 0.5 * (d == s) for s in found[kind].same for d in found[kind].different])
        assert found[kind].overlap == pytest.approx(wins)


def test_densities_have_unit_area(saved: SavedEvaluation) -> None:
    found = all_distances(saved.sample)
    edges = edges_of(found)
    for each in found:
        assert np.sum(density(each.same, edges) * np.diff(edges)) == pytest.approx(1)


def test_errors_by_cause_equal_a_loop(saved: SavedEvaluation) -> None:
    truth = causes.read_truth(saved)
    assert truth is not None
    found = {level.level: level for level in causes.levels(saved, truth)}
    wrong: dict[str, list[bool]] = {}
    for row, path in enumerate(saved.query.paths):
        shown = truth.loc[path]
        azimuth = float(shown["azimuth"])  # 0, 1.5 or 3 radians
        names = [
            f"camera {saved.query.cameras[row]}",
            "front" if azimuth < np.pi / 4 else "side" if azimuth < 3 * np.pi / 4 else "back",
            "occluded" if float(shown["occlusion"]) >= 0.1 else "clear",
        ]
        for name in names:
            wrong.setdefault(name, []).append(not saved.matches[row, 0])
    wrong["all queries"] = (~saved.matches[:, 0]).tolist()
    assert set(found) == set(wrong)  # everybody's outfit is shared, so clothes are left out
    for name, values in wrong.items():
        assert found[name].queries == len(values)
        assert found[name].error == pytest.approx(np.mean(values))
        assert found[name].low <= found[name].error <= found[name].high


def test_traits_of_wrong_images_at_rank_1(saved: SavedEvaluation) -> None:
    truth = causes.read_truth(saved)
    assert truth is not None
    found, count, people = causes.traits(saved, truth)
    rows = [row for row in range(len(saved.query)) if not saved.matches[row, 0]]
    assert count == len(rows)
    assert people == len(set(saved.query.identities[rows].tolist()))
    confused, expected = [], []
    for row in rows:
        own = truth.loc[saved.query.paths[row], "bottom"]
        gallery = zip(saved.gallery.paths, saved.gallery.identities, strict=True)
        others = [truth.loc[p, "bottom"] == own for p, person in gallery if person != saved.query.identities[row]]
        expected.append(np.mean(others))
        confused.append(truth.loc[saved.gallery.paths[saved.order[row, 0]], "bottom"] == own)
    (bottom,) = (trait for trait in found if trait.name == "bottom")
    assert bottom.confused == pytest.approx(np.mean(confused))
    assert bottom.expected == pytest.approx(np.mean(expected))
    assert bottom.low <= bottom.confused <= bottom.high
    assert bottom.low < bottom.high


def test_the_error_of_all_queries_is_drawn_in_every_panel(saved: SavedEvaluation) -> None:
    truth = causes.read_truth(saved)
    assert truth is not None
    figure = causes.causes_figure(causes.levels(saved, truth))
    error = float(np.mean(~saved.matches[:, 0]))
    for axes in figure.axes:
        (dashed,) = [line for line in axes.get_lines() if line.get_linestyle() == "--"]
        assert list(dashed.get_xdata()) == pytest.approx([error, error])
    assert figure.axes[0].texts[0].get_text() == f"{100 * error:.0f} %, n = 88"


def test_sides_of_a_person() -> None:
    headings = np.array([0, 0.7, 0.9, np.pi, -np.pi / 2, 6.2, 2.5])
    assert causes.view_of(headings).tolist() == ["front", "front", "side", "back", "side", "front", "back"]


def test_no_ground_truth(tmp_path: Path) -> None:
    saved = load_evaluation(make_run(tmp_path, pictures=False, lean=True) / "evaluation.npz")
    assert causes.read_truth(saved) is None


def test_colour_distances_are_perceptual() -> None:
    colours = np.array(["#ffffff", "#ff0000", "#000000", "#777777", "#ff0000"])
    expected = [[100, 0, 0], [53.24, 80.09, 67.20], [0, 0, 0], [50.03, 0, 0], [53.24, 80.09, 67.20]]
    np.testing.assert_allclose(lab(colours), expected, atol=0.05)
    between = difference(colours[:2], colours)
    assert between[0, 2] == pytest.approx(100)
    assert between[1, 4] == 0
    for i in range(2):
        for j in range(5):
            assert between[i, j] == pytest.approx(np.sqrt(np.sum((np.array(expected[i]) - expected[j]) ** 2)), abs=0.1)


def test_similar_colours_count_as_shared_and_different_ones_do_not(saved: SavedEvaluation) -> None:
    """Give each person's top its own colour: similar reds for even numbers, similar blues for odd numbers."""
    truth = causes.read_truth(saved)
    assert truth is not None
    person = truth["identity"].to_numpy(int)
    colour = [f"#c8{10 + p % 20:02d}10" if p % 2 == 0 else f"#10{10 + p % 20:02d}c8" for p in person]
    found, *_ = causes.traits(saved, truth.assign(top_colour=colour))
    (top,) = (trait for trait in found if trait.name == "top colour")
    rows = [row for row in range(len(saved.query)) if not saved.matches[row, 0]]
    confused = [(saved.query.identities[row] - saved.gallery.identities[saved.order[row, 0]]) % 2 == 0 for row in rows]
    assert 0 < np.mean(confused) < 1
    assert top.confused == pytest.approx(np.mean(confused))
