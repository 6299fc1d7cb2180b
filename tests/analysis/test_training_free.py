"""Matchers without training, on features and images with known scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from usvi_bench.analysis.training_free import (
    Comparison,
    across_modalities,
    main,
    mean_average_precision,
    score,
    within_modality,
)
from usvi_bench.datasets.base import ImageTable

ROOT = Path("nowhere")


def table(modality: str, identities: list[int], cameras: list[int]) -> ImageTable:
    paths = tuple(f"{i}.jpg" for i in range(len(identities)))
    return ImageTable(modality, ROOT, paths, np.array(identities), np.array(cameras))  # type: ignore[arg-type]


def test_average_precision_is_that_of_a_loop() -> None:
    rng = np.random.default_rng(0)
    distance = rng.random((7, 20), np.float32)
    right, excluded = rng.random((7, 20)) < 0.2, rng.random((7, 20)) < 0.3
    expected = []
    for q in range(7):
        ranked = sorted((float(distance[q, g]), bool(right[q, g])) for g in range(20) if not excluded[q, g])
        hits, precisions = 0, []
        for rank, (_, correct) in enumerate(ranked, start=1):
            hits += correct
            if correct:
                precisions.append(hits / rank)
        if precisions:
            expected.append(sum(precisions) / hits)
    assert mean_average_precision(distance, right, excluded) == pytest.approx(np.mean(expected))


def test_sysu_draws_one_image_of_each_person_and_camera_and_camera_3_skips_camera_2() -> None:
    seen = table("visible", [1, 1, 1, 1, 2, 2], [1, 1, 2, 2, 1, 4])
    dark = table("infrared", [1, 2], [3, 6])
    compared = across_modalities("sysu", dark, seen)
    assert len(compared.galleries) == 10
    for rows in compared.galleries:
        pairs = list(zip(seen.identities[rows].tolist(), seen.cameras[rows].tolist(), strict=True))
        assert pairs == [(1, 1), (1, 2), (2, 1), (2, 4)]
    assert compared.excluded.tolist() == [[False, False, True, True, False, False], [False] * 6]
    assert within_modality("sysu", seen).excluded[0].tolist() == [True, True, False, False, True, False]


def test_regdb_compares_halves_of_a_person_within_a_modality() -> None:
    compared = within_modality("regdb", table("visible", [5] * 4 + [6] * 3, [1] * 7))
    assert compared.query.tolist() == [0, 1, 4, 5]
    assert [rows.tolist() for rows in compared.galleries] == [[2, 3, 6]]


def test_good_features_score_100_and_none_score_chance() -> None:
    identities = np.repeat(np.arange(50), 4)
    seen = table("visible", identities.tolist(), [1] * 200)
    compared = Comparison(np.arange(200), [np.arange(200)], np.eye(200, dtype=bool))
    features = np.eye(50, dtype=np.float32)[identities]
    assert score(compared, seen, seen, features, features) == pytest.approx(100)
    assert 2 < score(compared, seen, seen, None, None) < 6


@pytest.mark.parametrize("layout", ["sysu", "regdb"])
def test_the_table_has_every_matcher(
    layout: str, tiny_people: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--layout", layout, "--data", str(tiny_people[layout])]) == 0
    text = capsys.readouterr().out
    for name in ("chance", "mean colour", "grey bands", "HOG", "small16"):
        assert f"| {name} |" in text
