"""Sweep over knobs, with invented scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from PIL import Image

from tests.leaderboard.records import make_record
from usvi_bench.analysis.synthetic_knobs import LEVELS, Point, main, points
from usvi_bench.core.record import write_record
from usvi_bench.synthetic.spec import GENERATOR_VERSIONS, SyntheticSpec, changed_knobs, parse

ARGUMENTS = ["--size", "tiny", "--seeds", "0", "1"]


class Fake:
    """Runner whose scores fall by a fixed share per knob; records its points, and stops after ``limit`` trainings."""

    def __init__(
        self,
        folder: Path,
        limit: int = 1000,
        version: int = GENERATOR_VERSIONS["sysu"],
        settings: Mapping[str, str] = MappingProxyType({}),
        **changes: Any,
    ) -> None:
        self.asked: list[Point] = []
        self.folder, self.limit, self.version, self.settings, self.changes = folder, limit, version, settings, changes

    def __call__(self, point: Point) -> None:
        if len(self.asked) == self.limit:
            raise KeyboardInterrupt
        self.asked.append(point)
        spec = point.people.note()
        synthetic = {"layout": "sysu", "generator_version": self.version, "spec": spec, "bytes": "", "images": 1}
        knobs = changed_knobs(point.people.knobs())
        data = {"name": "sysu", "fingerprint": str(spec), "synthetic": synthetic, "knobs": knobs, "description": ""}
        score = 0.9 - 0.1 * sum(point.people.knobs().values()) + 0.01 * point.seed
        made = {"overrides": {"settings": dict(self.settings), "schedule": None}}
        record = make_record(point.method, point.seed, [score], dataset=data, provenance=made, **self.changes)
        write_record(
            self.folder
            / "sysu_all"
            / f"{point.method}-{point.seed}-v{self.version}-{point.people.folder('sysu')}"
            / "record.json",
            record,
        )


def test_one_knob_changes_at_a_time_and_its_default_is_shared() -> None:
    usual = SyntheticSpec(size="tiny", seed=7)
    assert set(LEVELS) == set(usual.knobs())
    found = points(["pgm", "hil"], usual, list(LEVELS), [0])
    for point in found:
        changed = [knob for knob, level in point.people.knobs().items() if level != usual.knobs()[knob]]
        assert len(changed) <= 1
        assert parse(point.data) == point.people
    assert len(found) == len(set(found)) == 2 * (1 + sum(len(levels) - 1 for levels in LEVELS.values()))
    for knob, levels in LEVELS.items():
        assert {point.people.knobs()[knob] for point in found} == set(levels)


def test_a_stopped_sweep_resumes(tmp_path: Path) -> None:
    arguments = [*ARGUMENTS, "--knobs", "pose", "occlusion", "--output", str(tmp_path)]
    stopped, rest = Fake(tmp_path, limit=3), Fake(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        main(arguments, stopped)
    assert main(arguments, rest) == 0
    assert len(set(stopped.asked + rest.asked)) == len(stopped.asked + rest.asked) == 2 * (3 + 3 - 1)
    assert main(arguments, Fake(tmp_path, limit=0)) == 0


def test_a_sweep_stopped_in_its_first_training_resumes(tmp_path: Path) -> None:
    (tmp_path / "stages" / "a").mkdir(parents=True)
    (tmp_path / "stages" / "a" / "config.json").write_text("{}")
    assert main([*ARGUMENTS, "--knobs", "pose", "--output", str(tmp_path)], Fake(tmp_path)) == 0


@pytest.mark.parametrize(
    "other",
    [
        {"settings": {"method.form": "released"}},
        {"setting": "paper"},
        {"trials": 5},  # incomplete
        {"protocol": "sysu_indoor"},
    ],
)
def test_runs_with_other_settings_do_not_count(tmp_path: Path, other: dict[str, Any]) -> None:
    arguments = [*ARGUMENTS, "--knobs", "pose", "--output", str(tmp_path)]
    before = Fake(tmp_path / "before", **other)
    with pytest.raises(SystemExit, match="no knob has records at two levels"):
        main(arguments, before)
    again = Fake(tmp_path / "again", settings={"engine.threads": "1"})
    assert main(arguments, again) == 0
    assert again.asked == before.asked


def test_plot_draws_existing_records(tmp_path: Path) -> None:
    arguments = [*ARGUMENTS, "--output", str(tmp_path), "--method", "pgm", "hil"]
    assert main(arguments, Fake(tmp_path)) == 0
    first = (tmp_path / "knobs.png").read_bytes()
    assert min(Image.open(tmp_path / "knobs.png").size) > 800
    assert (tmp_path / "knobs.svg").read_text().startswith("<?xml")
    figure = tmp_path / "elsewhere" / "two"
    figure.parent.mkdir()
    assert main([*arguments, "--plot", "--figure", str(figure)], Fake(tmp_path, limit=0)) == 0
    assert figure.with_suffix(".png").read_bytes() == first
    assert main([*arguments, "--plot", "--figure", str(figure), "--knobs", "pose"]) == 0
    assert figure.with_suffix(".png").read_bytes() != first


def test_people_of_another_seed_have_a_sweep_of_their_own(tmp_path: Path) -> None:
    arguments = [*ARGUMENTS, "--knobs", "pose", "--output", str(tmp_path)]
    usual, other = Fake(tmp_path), Fake(tmp_path)
    assert main(arguments, usual) == main([*arguments, "--people", "7"], other) == 0
    assert {point.people.seed for point in usual.asked} == {0}
    assert {point.people.seed for point in other.asked} == {7}
    assert len(other.asked) == len(usual.asked)


def test_a_method_may_lack_a_knob(tmp_path: Path) -> None:
    main([*ARGUMENTS, "--knobs", "pose", "boxes", "--output", str(tmp_path)], Fake(tmp_path))
    main([*ARGUMENTS, "--knobs", "pose", "--method", "pgm", "--output", str(tmp_path)], Fake(tmp_path))
    both = ["--method", "cluster_contrast", "pgm", "--knobs", "pose", "boxes", "--plot"]
    assert main([*ARGUMENTS, *both, "--output", str(tmp_path)]) == 0


def test_people_of_another_generator_do_not_count(tmp_path: Path) -> None:
    arguments = [*ARGUMENTS, "--knobs", "pose", "--output", str(tmp_path)]
    old = Fake(tmp_path, version=GENERATOR_VERSIONS["sysu"] - 1)
    with pytest.raises(SystemExit, match="no knob has records at two levels"):
        main(arguments, old)
    new = Fake(tmp_path)
    assert main(arguments, new) == 0
    assert new.asked == old.asked


def test_wrong_arguments_are_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="did you mean pose"):
        main([*ARGUMENTS, "--knobs", "poses", "--output", str(tmp_path)], Fake(tmp_path))
    with pytest.raises(SystemExit, match="unknown size 'huge'"):
        main(["--size", "huge", "--output", str(tmp_path)], Fake(tmp_path))
    with pytest.raises(SystemExit, match="layouts sysu, regdb, llcm"):
        main([*ARGUMENTS, "--protocol", "market_all", "--output", str(tmp_path)], Fake(tmp_path))
    with pytest.raises(SystemExit, match="run without --plot"):
        main([*ARGUMENTS, "--plot", "--output", str(tmp_path)], Fake(tmp_path))
    main([*ARGUMENTS, "--knobs", "pose", "--output", str(tmp_path)], Fake(tmp_path))
    with pytest.raises(SystemExit, match="--method pgmm: no record of it"):
        main([*ARGUMENTS, "--plot", "--method", "pgmm", "--output", str(tmp_path)])
    with pytest.raises(SystemExit, match="9 methods"):
        main([*ARGUMENTS, "--plot", "--method", *"abcdefghi", "--output", str(tmp_path)])
