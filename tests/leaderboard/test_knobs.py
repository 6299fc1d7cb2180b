"""Tests of the knob tables: one table per varied knob, with the figures of the right records."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from tests.leaderboard.records import make_record
from usvi_bench.core.record import Record
from usvi_bench.leaderboard.board import board_sections
from usvi_bench.leaderboard.build import FOLDER, build, load_records
from usvi_bench.leaderboard.knobs import separate_sweeps
from usvi_bench.leaderboard.record_pages import build_knobs
from usvi_bench.leaderboard.score_table import score_tables
from usvi_bench.synthetic.spec import SyntheticSpec

SPEC = {"size": "small", "seed": 0, "height": 128, "device": "cpu", "mismatch": 0.0, "pose": 1.0}


def people(**changes: Any) -> dict[str, Any]:
    """Describe a data set; each change of the people gives different images."""
    spec = {**SPEC, **changes}
    knobs = {name: spec[name] for name in ("mismatch", "pose") if spec[name] != SPEC[name]}
    data = {"layout": "sysu", "generator_version": 4, "spec": spec, "bytes": str(spec), "images": len(str(spec))}
    described = {"synthetic": data, "knobs": knobs, "description": f"people {spec}"}
    return {"name": "sysu", "fingerprint": str(spec), **described}


def records(*made: Record) -> Mapping[str, Record]:
    return {f"{i:02}.json": record for i, record in enumerate(made)}


def base_level() -> list[Record]:
    return [make_record("pgm", seed, [0.1 * (seed + 1)], dataset=people()) for seed in range(3)] + [
        make_record("hil", 0, [0.2], dataset=people())
    ]


def knob_page(made: Mapping[str, Record]) -> str:
    return build_knobs(board_sections(score_tables(made), []))


def cells(text: str, knob: str) -> dict[str, list[str]]:
    lines = text[text.index(f"when `{knob}` varies, people 0") :].split("\n\n")[1].splitlines()
    found = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    return {row[0]: row[1:] for row in found if row[0] != ":--"}


def test_levels_are_columns_over_shared_seeds() -> None:
    turned = [make_record("pgm", seed, [0.05 * (seed + 1)], dataset=people(mismatch=0.5)) for seed in (1, 2)]
    turned.append(make_record("pgm", 1, [0.02], dataset=people(mismatch=1.0)))
    made = records(*base_level(), *turned)
    text = knob_page(made)
    found = cells(text, "mismatch")
    assert found["Method"] == ["seeds", "mismatch=0", "mismatch=0.5", "mismatch=1", "records"]
    assert found["pgm"][:4] == ["1", "20.4", "10.4", "2.4"], "seed 1 is the only one that all levels have"
    assert found["pgm"][4] == "0.5: [1](records/04.json) [2](records/05.json); 1: [1](records/06.json)"
    assert found["chance"][:2] == ["-", "5.0"]
    assert "hil" not in found, "it has one level"
    assert "Default: `mismatch=0`." in text
    board = build(made)
    assert board.count("\n### ") == 1, "a level has no table of its own"
    assert "when `mismatch`" not in board, "knobs are on a page of their own"

    both = knob_page(records(*base_level(), *turned[:2]))
    assert cells(both, "mismatch")["pgm"][:3] == ["2", "25.4 ± 7.1", "12.9 ± 3.5"]


def test_the_knobs_of_committed_records_agree_with_their_specification() -> None:
    usual = SyntheticSpec().knobs()
    for name, record in load_records(FOLDER / "records").items():
        data = record.result.dataset
        spec = (data["synthetic"] or {}).get("spec", {})
        assert data["knobs"] == {knob: spec[knob] for knob in usual if spec.get(knob, usual[knob]) != usual[knob]}, name


def test_only_one_knob_may_differ() -> None:
    older = people(mismatch=1.0)
    older["synthetic"] = {**older["synthetic"], "generator_version": 3}
    apart = [
        make_record("pgm", 0, [0.1], dataset={**older, "fingerprint": "older"}),
        make_record("pgm", 0, [0.1], dataset=people(mismatch=1.0, height=288)),
        make_record("pgm", 0, [0.1], dataset=people(mismatch=1.0, pose=0.0)),
        make_record("pgm", 0, [0.1], dataset=people(seed=1)),
        make_record("pgm", 0, [0.1], dataset=people(mismatch=1.0), setting="paper"),
        make_record("pgm", 0, [0.1], dataset=people(mismatch=1.0), protocol="sysu_indoor"),
        make_record("pgm", 0, [0.1], real=True),
    ]
    whole, sweeps = separate_sweeps(score_tables(records(*base_level(), *apart)))
    assert len(whole) == 8
    assert not sweeps

    whole, sweeps = separate_sweeps(
        score_tables(records(*base_level(), *(make_record("pgm", 0, dataset=people(pose=p)) for p in (0, 0.5))))
    )
    assert len(whole) == 1
    assert [(sweep.knob, list(sweep.levels)) for sweep in sweeps] == [("pose", [0, 0.5, 1.0])]


def test_people_with_several_varied_knobs_have_their_own_table() -> None:
    strays = [{"mismatch": 0.5}, {"mismatch": 1.0}, {"mismatch": 0.5, "pose": 0.0}, {"mismatch": 0.5, "pose": 0.5}]
    made = records(*base_level(), *(make_record("pgm", 0, dataset=people(**stray)) for stray in strays))
    whole, sweeps = separate_sweeps(score_tables(made))
    assert [table.description for table in whole] == [people(**x)["description"] for x in ({}, strays[2], strays[3])]
    assert [(sweep.knob, sorted(sweep.levels)) for sweep in sweeps] == [("mismatch", [0, 0.5, 1.0])]


def test_the_default_people_are_the_base_even_with_few_runs() -> None:
    turned = [make_record(method, 0, dataset=people(mismatch=1.0)) for method in ("hil", "pgm", "dmic")]
    (whole,), (sweep,) = separate_sweeps(score_tables(records(*turned, make_record("pgm", 0, dataset=people()))))
    assert whole.description == people()["description"]
    assert (sweep.base_level, list(sweep.levels)) == (0, [0, 1.0])


def test_people_without_a_base_have_their_own_table() -> None:
    turned = [make_record("pgm", 0, dataset=people(mismatch=level)) for level in (0.5, 1.0)]
    whole, sweeps = separate_sweeps(score_tables(records(*turned)))
    assert len(whole) == 2
    assert not sweeps


def test_no_run_is_lost() -> None:
    other_bytes = people(mismatch=1.0)
    other_bytes["synthetic"] = {**other_bytes["synthetic"], "bytes": "of another machine"}
    made = records(
        *base_level(),
        *(make_record("pgm", seed, [0.3], dataset=people(mismatch=1.0)) for seed in range(2)),
        make_record("pgm", 0, [0.7], dataset={**other_bytes, "fingerprint": "other"}),
        make_record("dmic", 0, [0.6], dataset=people(mismatch=1.0)),
    )
    text = build(made)
    found = cells(knob_page(made), "mismatch")
    assert found["dmic"] == ["1", "-", "60.4", "1: [0](records/07.json)"], "it has no run on the base_level people"
    assert found["pgm"][:3] == ["2", "15.4 ± 7.1", "30.4 ± 0.0"]
    assert text.count("\n### ") == 2
    assert "70.4" in text, "equal knobs, other images"


def test_people_with_another_description_have_their_own_table() -> None:
    older = {name: value for name, value in SPEC.items() if name != "mismatch"}
    data = people()["synthetic"]
    for synthetic, knobs in (
        ({**data, "spec": older}, {}),
        ({**data, "spec": {**older, "pose": 0.0}}, {"pose": 0.0}),
        ({"generator_version": 1}, {}),
    ):
        other = {**people(), "fingerprint": "other", "synthetic": synthetic, "knobs": knobs}
        whole, sweeps = separate_sweeps(score_tables(records(*base_level(), make_record("pgm", 0, dataset=other))))
        assert len(whole) == 2
        assert not sweeps


def test_a_base_without_a_later_knob_has_it_at_its_default() -> None:
    strange = people(foreign=0.5)
    strange["knobs"] = {"foreign": 0.5}
    made = records(*base_level(), make_record("pgm", 0, [0.05], dataset=strange))
    found = cells(knob_page(made), "foreign")
    assert found["Method"][:3] == ["seeds", "foreign=0", "foreign=0.5"]
    assert found["pgm"][:3] == ["1", "10.4", "5.4"]
    assert "Default: `foreign=0`." in knob_page(made)


def test_other_settings_of_a_method_have_their_own_row() -> None:
    other = {"method": {"eps": 0.7}}
    made = [
        *base_level(),
        make_record("pgm", 0, [0.7], config=other, dataset=people()),
        make_record("pgm", 0, [0.6], config=other, dataset=people(mismatch=1.0)),
    ]
    found = cells(knob_page(records(*made)), "mismatch")
    (row,) = (name for name in found if name.startswith("pgm"))
    assert "eps=0.7" in row
    assert found[row][:3] == ["1", "70.4", "60.4"]


def test_bytes_do_not_depend_on_the_order_of_records() -> None:
    turned = ({"pose": 0.0}, {"mismatch": 1.0}, {"pose": 0.5, "mismatch": 0.5})
    made = records(*base_level(), *(make_record("pgm", 0, dataset=people(**changes)) for changes in turned))
    first, names = knob_page(made), list(made)
    assert first.count("## mAP on") == 2
    random.Random(0).shuffle(names)
    shuffled = {name: made[name] for name in names}
    assert knob_page(shuffled) == first
    assert build(shuffled) == build(made)
