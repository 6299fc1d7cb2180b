"""The sweep over knobs, with scores that are made up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.synthetic_knobs import LEVELS, main, points
from datasets.synthetic.spec import SyntheticSpec, parse

ARGUMENTS = ["--size", "tiny", "--seeds", "0", "1"]


class Fake:
    """Every cause costs its own share; remembers what it was asked, and gives up after ``limit`` trainings."""

    def __init__(self, limit: int = 1000) -> None:
        self.asked: list[tuple[str, int]] = []
        self.limit = limit

    def __call__(self, data: str, seed: int) -> dict[str, float]:
        if len(self.asked) == self.limit:
            raise KeyboardInterrupt
        self.asked.append((data, seed))
        knobs = parse(data).knobs()
        return {"mAP": 0.9 - 0.1 * sum(knobs.values()) + 0.01 * seed, "R1": 0.5, "chance_mAP": 0.04}


def test_one_knob_is_turned_at_a_time_and_its_default_is_shared() -> None:
    usual = SyntheticSpec(size="tiny")
    assert set(LEVELS) == set(usual.knobs())
    for point in points("tiny", list(LEVELS), [0]):
        knobs = parse(point.data).knobs()
        assert knobs == {**usual.knobs(), point.knob: point.level}
    keys = [point.key for point in points("tiny", list(LEVELS), [0])]
    assert len(keys) - len(set(keys)) == len(LEVELS) - 1


def test_a_stopped_sweep_goes_on_where_it_was(tmp_path: Path) -> None:
    arguments = [*ARGUMENTS, "--knobs", "pose", "occlusion", "--output", str(tmp_path)]
    stopped, rest = Fake(limit=3), Fake()
    with pytest.raises(KeyboardInterrupt):
        main(arguments, stopped)
    assert main(arguments, rest) == 0
    assert len(set(stopped.asked + rest.asked)) == len(stopped.asked + rest.asked) == 2 * (3 + 3 - 1)
    content = json.loads((tmp_path / "knobs.json").read_text())
    assert content["scores"]["synthetic:size=tiny,pose=0.5 seed=1"]["mAP"] == pytest.approx(0.61)
    again = Fake(limit=0)
    assert main(arguments, again) == 0


def test_it_draws_what_is_there(tmp_path: Path) -> None:
    assert main([*ARGUMENTS, "--output", str(tmp_path)], Fake()) == 0
    first = (tmp_path / "knobs.png").read_bytes()
    assert min(Image.open(tmp_path / "knobs.png").size) > 800
    assert (tmp_path / "knobs.svg").read_text().startswith("<?xml")
    assert main([*ARGUMENTS, "--output", str(tmp_path), "--plot"], Fake(limit=0)) == 0
    assert (tmp_path / "knobs.png").read_bytes() == first


def test_scores_of_another_method_are_not_mixed_in(tmp_path: Path) -> None:
    arguments = [*ARGUMENTS, "--knobs", "pose", "--output", str(tmp_path)]
    main(arguments, Fake())
    with pytest.raises(SystemExit, match="method=cluster_contrast"):
        main([*arguments, "--method", "pgm"], Fake())
    with pytest.raises(SystemExit, match="did you mean pose"):
        main([*ARGUMENTS, "--knobs", "poses", "--output", str(tmp_path)], Fake())
