"""Ground truth of synthetic images: it is correct, and neither training nor scoring reads it."""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from usvi_bench.cli.main import main
from usvi_bench.synthetic import parse
from usvi_bench.synthetic.identity import draw_person
from usvi_bench.synthetic.layout import plan
from usvi_bench.synthetic.render import camera_of, dressed_person
from usvi_bench.synthetic.spec import SyntheticSpec
from usvi_bench.synthetic.view import draw_view

ROOT = Path(__file__).resolve().parents[2]
TINY = parse("synthetic:size=tiny")
FILES = ("ground_truth.csv", "people.csv")
_watched: list[str] | None = None


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _watched is not None:
        _watched.append(str(arguments[0]))


def table(tree: Path, name: str) -> list[dict[str, str]]:
    with (tree / name).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("layout", ["sysu", "regdb", "llcm"])
def test_every_image_has_a_row_with_its_draws(layout: str, tiny_people: dict[str, Path]) -> None:
    rows, shots = table(tiny_people[layout], FILES[0]), plan(layout, TINY).shots  # type: ignore[arg-type]
    assert [row["path"] for row in rows] == [shot.path for shot in shots]
    for row, shot in list(zip(rows, shots, strict=True))[::7]:
        camera = camera_of(TINY, layout, shot.camera)  # type: ignore[arg-type]
        view = draw_view(TINY, layout, camera, shot)  # type: ignore[arg-type]
        outfit = dressed_person(TINY, layout, shot.person, shot.camera).outfit  # type: ignore[arg-type]
        assert (int(row["identity"]), int(row["camera"])) == (shot.person, shot.camera)
        assert (row["modality"], row["place"]) == (camera.modality, camera.place)
        assert float(row["azimuth"]) == pytest.approx(view.azimuth % (2 * np.pi), rel=1e-3, abs=1e-3)
        assert float(row["elevation"]) == pytest.approx(view.elevation, rel=1e-3)
        for name in ("top", "bottom", "bag", "hat", "shoes"):
            assert row[name] == getattr(outfit, name)
        assert float(row["occlusion"]) == 0.0


def test_every_column_is_on_the_data_card(tiny_people: dict[str, Path]) -> None:
    card = (ROOT / "synthetic/README.md").read_text()
    for name in table(tiny_people["sysu"], FILES[0])[0]:
        assert f"`{name}`" in card, name


def test_people_are_listed_with_body_clothes_and_materials(tiny_people: dict[str, Path]) -> None:
    rows = table(tiny_people["sysu"], FILES[1])
    assert [int(row["identity"]) for row in rows] == list(range(1, 23))
    person = draw_person(TINY, "sysu", 5)
    assert float(rows[4]["body.stature"]) == pytest.approx(person.body.stature, rel=1e-3)
    assert rows[4]["outfit.top"] == person.outfit.top
    assert float(rows[4]["top.near"]) == pytest.approx(person.materials[2].near, rel=1e-3)
    assert rows[4]["top.colour"].startswith("#")


def test_some_people_change_a_bag_or_a_jacket_between_cameras() -> None:
    worn: dict[int, set[tuple[str, bool]]] = defaultdict(set)
    for person in range(1, 200):
        for camera in range(1, 7):
            outfit = dressed_person(SyntheticSpec(), "sysu", person, camera).outfit
            worn[person].add((outfit.bag, outfit.opening > 0))
    changed = np.mean([len(states) > 1 for states in worn.values()])
    assert 0.05 < changed < 0.6


def test_no_code_that_trains_or_scores_names_the_ground_truth() -> None:
    for folder in ("components", "datasets", "engine", "methods", "protocols", "configs", "leaderboard"):
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text()
            assert not any(name in text for name in FILES), path


def test_a_training_opens_no_ground_truth(tiny_people: dict[str, Path], tmp_path: Path) -> None:
    """The run draws no report, because a report reads the ground truth after scoring."""
    global _watched
    settings = ["train.epochs=1", "train.iterations=2", "train.visible_clusters=2", "train.infrared_clusters=2"]
    settings += [
        "train.instances=2",
        "method.eps=0.5",
        "method.k1=6",
        "method.k2=2",
        "encoder.width=8",
        "engine.threads=1",
    ]
    arguments = ["--method", "cluster_contrast", "--protocol", "sysu_all", "--data", str(tiny_people["sysu"])]
    arguments += ["--no-report", "--weights", "random", "--output", str(tmp_path)]
    sys.addaudithook(_watch)
    _watched = []
    try:
        assert main([*arguments, "--set", *settings]) == 0
    finally:
        opened, _watched = _watched, None
    order = [Path(name).name for name in opened]
    assert "train_id.txt" in order
    assert "record.json" in " ".join(order)
    assert not set(FILES) & set(order)
