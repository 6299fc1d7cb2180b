"""Tests of the leaderboard's pages: cells, separation of incomparable runs, byte-equal rebuilding."""

from __future__ import annotations

import json
import random
import re
import statistics
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.leaderboard.records import HEADLINE, consistent, make_figure, make_record, make_score, with_metric
from tests.leaderboard.records import SYNTHETIC as GENERATOR
from usvi_bench.core.errors import UsageError
from usvi_bench.core.metrics import METRICS
from usvi_bench.core.record import Record, write_record
from usvi_bench.core.sealed import write_sealed_json
from usvi_bench.leaderboard.__main__ import main
from usvi_bench.leaderboard.board import board_sections
from usvi_bench.leaderboard.build import EMPTY, FOLDER, NO_REAL, REAL, SYNTHETIC, build, load_records
from usvi_bench.leaderboard.published import Published, choose
from usvi_bench.leaderboard.published_page import ORDER_TITLE, build_published
from usvi_bench.leaderboard.record_pages import build_knobs, build_records
from usvi_bench.leaderboard.score_rows import score_rows
from usvi_bench.leaderboard.score_table import score_tables
from usvi_bench.leaderboard.significance import leaders


def page(*records: Record) -> str:
    return build({f"{i:02}.json": record for i, record in enumerate(records)})


def tables(text: str) -> list[dict[str, list[str]]]:
    """Parse each table of a page into first cell -> other cells; the header is included."""
    blocks = re.findall(r"(?:^\|.*\n)+", text, flags=re.M)
    lines = [[[c.strip() for c in line.split(" | ")] for line in b.strip("\n").splitlines()] for b in blocks]
    return [{row[0].lstrip("| "): [c.rstrip(" |") for c in row[1:]] for row in block} for block in lines]


def seeds(method: str, means: list[float], **changes: object) -> list[Record]:
    return [make_record(method, seed, [mean], **changes) for seed, mean in enumerate(means)]


def test_an_empty_page_explains_how_to_make_the_first_record() -> None:
    assert EMPTY in page()
    assert "python run.py --method" in page()


def test_boards_of_corrupted_images_state_the_spread_over_corruptions() -> None:
    kind, made = {"gallery": "seeded+corrupted"}, {"protocol": "sysu_all_c", "trials": 3}
    means = ([0.1, 0.2, 0.3], [0.2, 0.2, 0.5])
    corrupted = [
        make_record(
            "pgm",
            seed,
            headline={**HEADLINE, **kind},
            scores=[make_score(m, 1, t, **kind) for t, m in enumerate(own)],
            **made,
        )
        for seed, own in enumerate(means)
    ]
    text = page(*corrupted)
    spread = 100 * statistics.mean(statistics.stdev(own) for own in means)
    assert f"Standard deviation of mAP over the corruptions, mean over seeds: pgm {spread:.1f}." in text
    assert "single-shot, seeded gallery, corrupted visible images" in text
    assert "Standard deviation of mAP over the corruptions" not in page(make_record("pgm", 0))


def test_mean_over_trials_and_folds_first_then_spread_over_seeds() -> None:
    trials = {
        0: {(1, 0): 0.10, (1, 1): 0.30, (2, 0): 0.50, (2, 1): 0.70},
        1: {(1, 0): 0.2, (1, 1): 0.2, (2, 0): 0.6, (2, 1): 0.8},
    }
    records = [
        make_record(
            seed=seed, folds=[1, 2], trials=2, scores=[make_score(v, fold=f, trial=t) for (f, t), v in by_trial.items()]
        )
        for seed, by_trial in trials.items()
    ]
    cells = tables(page(*records))[0]["sclhm"]
    assert cells[0] == "2"
    for i, metric in enumerate(METRICS):
        per_seed = [100 * (statistics.fmean(by_trial.values()) + 0.001 * i) for by_trial in trials.values()]
        assert cells[1 + i] == f"{statistics.fmean(per_seed):.1f} ± {statistics.stdev(per_seed):.1f}", metric


def test_columns_and_single_seed_without_spread() -> None:
    record = make_record(means=[0.3, 0.5])
    table = tables(page(record))[0]
    assert table["Method"] == ["seeds", *METRICS, "records"]
    link = "[0](records/00.json)"
    assert table["sclhm"] == ["1", "40.0", "40.1", "40.2", "40.3", "40.4", "40.5", link]
    assert table["chance"] == ["-", *["5.0"] * 6, "-"]


def test_unknown_chance_is_a_dash() -> None:
    record = make_record(chance={"mAP": 0.05})
    assert tables(page(record))[0]["chance"] == ["-", "-", "-", "-", "-", "5.0", "-", "-"]


def test_runs_link_to_their_report_if_it_exists() -> None:
    records = {f"all/{i}.json": record for i, record in enumerate(seeds("sclhm", [0.3, 0.4]))}
    text = build(records, reports={"all/1.json"})
    assert tables(text)[0]["sclhm"][-1] == "[0](records/all/0.json) [1](reports/all/1/report.md)"


def test_rows_are_sorted_by_map_and_the_bounds_are_marked() -> None:
    records = [
        make_record("untrained", means=[0.1]),
        make_record("sclhm", means=[0.4]),
        make_record("supervised", means=[0.8]),
    ]
    names = list(tables(page(*records))[0])
    assert names == ["Method", ":--", "supervised (uses identities)", "sclhm", "untrained", "chance"]


def test_real_and_synthetic_never_share_a_table() -> None:
    text = page(make_record("adca", real=True), make_record("sclhm"))
    real, synthetic = text.index(REAL), text.index(SYNTHETIC)
    assert real < synthetic
    assert real < text.index("| adca |") < synthetic < text.index("| sclhm |")
    assert NO_REAL not in text
    assert NO_REAL in page(make_record("sclhm"))
    assert SYNTHETIC not in page(make_record("adca", real=True))


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol": "sysu_indoor"},
        {"setting": "paper"},
        {"dataset": {**make_record().result.dataset, "fingerprint": "e" * 16}},
        {"dataset": {**make_record().result.dataset, "name": "regdb"}},
        {"dataset": {**make_record().result.dataset, "synthetic": {**GENERATOR, "seed": 1}}},
        {
            "headline": {**make_record().result.headline, "shots": 10},
            "scores": [make_score(0.4, shots=10, trial=t) for t in (0, 1)],
        },
        {
            "headline": {**make_record().result.headline, "gallery": "official"},
            "scores": [make_score(0.4, gallery="official", trial=t) for t in (0, 1)],
        },
    ],
)
def test_runs_that_cannot_be_compared_get_tables_of_their_own(changes: dict[str, object]) -> None:
    other = make_record("adca", **changes)
    apart = tables(page(make_record("sclhm"), other).partition("## Time and memory")[0])
    assert [{"sclhm", "adca"} & set(table) for table in apart] in ([{"sclhm"}, {"adca"}], [{"adca"}, {"sclhm"}])
    together = tables(page(make_record("sclhm"), make_record("adca")))
    assert {"sclhm", "adca"} <= set(together[0])


def test_configurations_of_one_method_are_rows_with_their_settings_named() -> None:
    records = [
        make_record(means=[0.4]),
        make_record(means=[0.5], config={"method": {"eps": 0.4}}),
        make_record("adca", means=[0.2], config={"method": {"eps": 0.1}}),
    ]
    assert list(tables(page(*records))[0])[2:] == ["sclhm (eps=0.4)", "sclhm (eps=0.6)", "adca", "chance"]


def test_a_method_that_trains_longer_than_the_others_is_marked() -> None:
    usual, longer = ({"train": {"epochs": epochs}, "method": {"eps": 0.6}} for epochs in (6, 60))
    records = [make_record("pgm", config=longer)]
    records += [make_record(method, means=[0.2], config=usual) for method in ("adca", "hil", "sclhm")]
    assert list(tables(page(*records))[0])[2:] == ["pgm (epochs=60)", "adca", "hil", "sclhm", "chance"]


def test_settings_with_the_same_last_name_are_named_in_full() -> None:
    first = {"a": {"rate": 1}, "b": {"rate": 1}}
    second = {"a": {"rate": 2}, "b": {"rate": 2}}
    table = tables(page(make_record(config=first), make_record(config=second)))[0]
    assert {"sclhm (a.rate=1, b.rate=1)", "sclhm (a.rate=2, b.rate=2)"} <= set(table)


def test_start_weights_make_a_row() -> None:
    imagenet = {"source": "resnet50", "sha256": "ab" * 32}
    table = tables(page(make_record(), make_record(start_weights=imagenet)))[0]
    assert {"sclhm (weights=random)", "sclhm (weights=resnet50@abababab)"} <= set(table)


def test_rows_with_equal_settings_show_their_hash() -> None:
    table = tables(page(make_record(config_hash="a" * 64), make_record(config_hash="b" * 64)))[0]
    assert {"sclhm (config=aaaaaaaa)", "sclhm (config=bbbbbbbb)"} <= set(table)


def test_duplicate_seeds_are_refused() -> None:
    with pytest.raises(UsageError, match=r"00\.json and 01\.json: both are sclhm, seed 0; keep one"):
        page(make_record(), make_record())


def test_incomplete_runs_are_listed_and_not_ranked() -> None:
    part = make_record("adca", folds=[1, 2], scores=[make_score(0.9, trial=0)])
    text = page(make_record(), part)
    assert "adca" not in tables(text)[0]
    line = next(line for line in text.splitlines() if line.startswith("* [01.json]"))
    assert line.endswith("adca, `sysu_all`, seed 0: fold 1 lacks 1 of 2 trials; fold 2 lacks 2 of 2 trials")
    assert "Incomplete" not in page(make_record())
    only = page(part)
    assert "fold 2 lacks" in only
    assert NO_REAL in only


def test_dirty_runs_are_marked() -> None:
    records = [make_record(), make_record("adca", provenance={"dirty": True, "commit": None})]
    text = page(*records)
    assert "adca †" in tables(text)[0]
    assert "sclhm" in tables(text)[0]
    sources = tables(build_records({"00.json": records[0], "01.json": records[1]}))[-1]
    assert sources["[00.json](records/00.json)"] == ["sclhm", "`sysu_all`", "0", "0123456789", "a processor"]
    assert sources["[01.json](records/01.json)"] == ["adca", "`sysu_all`", "0", "unknown †", "a processor"]


def test_student_and_teacher_are_compared() -> None:
    both = [make_score(0.4), make_score(0.6, model="teacher")]
    text = page(make_record(scores=both, trials=1), make_record("adca"))
    table = tables(text)[1]
    assert table["Method"] == ["seeds", "headline", "student R1", "student mAP", "teacher R1", "teacher mAP"]
    assert table["sclhm"] == ["1", "student", "40.0", "40.4", "60.0", "60.4"]
    assert "adca" not in table
    assert "teacher" not in page(make_record("adca"))


def test_a_partly_scored_teacher_is_omitted() -> None:
    scores = [make_score(0.4), make_score(0.4, trial=1), make_score(0.6, model="teacher")]
    assert "teacher" not in page(make_record(scores=scores))


def bold(*records: Record) -> set[str]:
    return {name for name, cells in tables(page(*records))[0].items() if any("**" in cell for cell in cells)}


CLEAR, BEHIND = [0.50, 0.515, 0.52], [0.30, 0.31, 0.32]


def test_bold_needs_a_significant_lead() -> None:
    assert bold(*seeds("sclhm", CLEAR), *seeds("adca", BEHIND)) == {"sclhm"}
    assert bold(*seeds("sclhm", [0.4, 0.5, 0.6]), *seeds("adca", [0.5, 0.39, 0.59])) == set()


def test_seeds_are_compared_in_pairs() -> None:
    """Use spreads much larger than a nearly constant lead; then the same figures without pairs."""
    assert bold(*seeds("sclhm", [0.2, 0.41, 0.6]), *seeds("adca", [0.18, 0.38, 0.577])) == {"sclhm"}
    assert bold(*seeds("sclhm", [0.2, 0.41, 0.6]), *seeds("adca", [0.577, 0.18, 0.38])) == set()


def test_bold_needs_a_lead_over_every_competitor() -> None:
    wild = [0.1, 0.8, 0.2]
    assert bold(*seeds("sclhm", CLEAR), *seeds("adca", BEHIND), *seeds("pgm", wild)) == set()
    assert bold(*seeds("sclhm", CLEAR), *seeds("adca", BEHIND), *seeds("pgm", BEHIND[:1])) == set()


def test_bold_needs_a_lead_over_the_shared_seeds() -> None:
    """The other seeds of the first row raise its mean."""
    assert bold(*seeds("sclhm", [0.30, 0.31, 0.32, 0.6, 0.6]), *seeds("adca", [0.40, 0.411, 0.419])) == set()


def test_bold_needs_three_shared_seeds() -> None:
    assert bold(*seeds("sclhm", CLEAR[:2]), *seeds("adca", BEHIND)) == set()
    assert bold(*seeds("sclhm", CLEAR), *seeds("adca", BEHIND[:2])) == set()
    others = [make_record("adca", seed + 1, [mean]) for seed, mean in enumerate(BEHIND)]
    assert bold(*seeds("sclhm", CLEAR), *others) == set()


def test_bold_needs_a_competitor_and_some_spread() -> None:
    assert bold(*seeds("sclhm", CLEAR)) == set()
    assert bold(*seeds("sclhm", [0.5] * 3), *seeds("adca", [0.3] * 3)) == set()


@pytest.mark.parametrize("bound", ["supervised", "untrained"])
def test_bounds_are_not_ranked(bound: str) -> None:
    assert bold(*seeds(bound, [0.80, 0.81, 0.82]), *seeds("sclhm", CLEAR), *seeds("adca", BEHIND)) == {"sclhm"}
    assert bold(*seeds(bound, BEHIND), *seeds("sclhm", CLEAR)) == set()


def test_bold_is_decided_for_each_metric() -> None:
    def record(method: str, seed: int, first: float, mean: float) -> Record:
        return make_record(method, seed, scores=[with_metric(make_score(mean), R1=first)], trials=1)

    ahead = [record("sclhm", seed, 0.5, 0.50 + seed**2 / 100) for seed in range(3)]
    level = [record("adca", seed, 0.5, 0.30 + seed / 100) for seed in range(3)]
    cells = tables(page(*ahead, *level))[0]["sclhm"]
    assert cells[METRICS.index("R1") + 1] == "50.0 ± 0.0"
    assert cells[METRICS.index("mAP") + 1] == "**52.1 ± 2.1**"


SAMPLES = st.lists(st.tuples(st.integers(1, 99), st.integers(1, 99)), min_size=3, max_size=5)


@settings(deadline=None)
@given(SAMPLES)
def test_leader_agrees_with_the_paired_test_of_scipy(pairs: list[tuple[int, int]]) -> None:
    first, second = ([value / 100 for value in values] for values in zip(*pairs, strict=True))
    records = {f"{r.result.method}{r.result.seed}": r for r in seeds("one", first) + seeds("two", second)}
    found = leaders(score_rows(records)).get("R1")
    gaps = {a - b for a, b in pairs}
    if len(gaps) == 1:
        assert found is None
        return
    test = stats.ttest_rel(first, second)
    if abs(test.pvalue - 0.05) > 1e-6:
        assert found == (("one" if test.statistic > 0 else "two") if test.pvalue < 0.05 else None)


def test_published_figures_are_shown_on_real_data_only() -> None:
    lines = [
        make_figure(metrics={"R1": "45.5", "mAP": "42.7"}),
        make_figure(metrics={"R1": "46.1"}, source="a log", evidence="own repository", at_odds=True),
    ]
    text = build({"a.json": make_record("adca", real=True), "b.json": make_record("hil", real=True)}, choose(lines))
    table = tables(text)[0]
    start = table["Method"].index("published R1")
    assert table["Method"][start:-1] == [
        f"{what} {m}" for m in ("R1", "mAP") for what in ("published", "difference")
    ] + ["evidence"]
    assert table["adca"][start:-1] == ["45.5", "-5.5", "42.7", "-2.3", "secondary [1]"]
    assert table["hil"][start:-1] == ["-"] * 5
    assert "[1] adca: elsewhere R1 46.1 (own repository: a log)." in text
    for record in (make_record("adca"), make_record("hil", real=True), make_record("adca", real=True, protocol="mine")):
        assert "published R1" not in build({"a.json": record}, choose(lines))
    multi = make_record(
        "adca", real=True, headline={**HEADLINE, "shots": 10}, scores=[make_score(0.5, shots=10)], trials=1
    )
    assert "published R1" not in build({"a.json": multi}, choose(lines))


def test_protocols_are_in_the_standard_order() -> None:
    text = page(make_record(protocol="mine"), make_record(protocol="regdb_v2i"), make_record(protocol="sysu_all"))
    assert re.findall(r"^### `(\w+)`", text, re.MULTILINE) == ["sysu_all", "regdb_v2i", "mine"]


def test_every_record_is_listed_with_the_cost_of_runs() -> None:
    records = {f"{i}.json": record for i, record in enumerate(seeds("sclhm", CLEAR))}
    text = build_records(records)
    cost, listed = tables(text)
    assert cost["Data"][0] == "Method"
    assert [name for name in listed if name.startswith("[")] == [f"[{name}](records/{name})" for name in records]
    assert "All 3 runs" in text
    assert "no record yet" in build_records({})
    assert "no record of people with a varied knob" in build_knobs(board_sections(score_tables(records), []))


def many() -> Mapping[str, Record]:
    records = [
        *seeds("sclhm", CLEAR),
        *seeds("adca", BEHIND),
        make_record("untrained", real=True),
        make_record("supervised"),
    ]
    return {f"{i}.json": record for i, record in enumerate(records)}


def test_bytes_do_not_depend_on_the_order_of_records() -> None:
    records = many()
    first = build(records)
    for seed in range(5):
        names = list(records)
        random.Random(seed).shuffle(names)
        assert build({name: records[name] for name in names}) == first


def run(folder: Path, *flags: str) -> int:
    return main(["--records", str(folder / "records"), "--output", str(folder), *flags])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, record in many().items():
        write_record(tmp_path / "records" / "deep" / name, consistent(record))
    return tmp_path


def test_check_passes_on_a_fresh_page_and_fails_on_a_stale_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "--check") == 1  # not built yet
    assert run(folder) == 0
    assert (folder / "PUBLISHED.md").exists()
    fresh = (folder / "LEADERBOARD.md").read_bytes()
    assert b"records/deep/0.json" in fresh
    assert run(folder, "--check") == 0
    write_record(folder / "records" / "new.json", consistent(make_record("hil")))
    capsys.readouterr()
    assert run(folder, "--check") == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "run python -m leaderboard" in message
    assert (folder / "LEADERBOARD.md").read_bytes() == fresh  # a check writes nothing
    assert run(folder) == 0
    assert run(folder, "--check") == 0


@pytest.mark.parametrize("name", ["LEADERBOARD.md", "KNOBS.md", "PUBLISHED.md", "RECORDS.md"])
def test_check_covers_every_page(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder) == 0
    with (folder / name).open("a") as file:
        file.write("touched by hand\n")
    assert run(folder, "--check") == 1
    assert f"{name} out of date" in capsys.readouterr().err
    assert run(folder) == 0
    assert run(folder, "--check") == 0


def test_check_compares_the_data_of_the_figure_and_not_its_bytes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder) == 0
    plot, published = folder / "published.svg", folder / "published.csv"
    other_version = plot.read_bytes() + b"<!-- drawn by another version of matplotlib -->"
    plot.write_bytes(other_version)
    assert run(folder, "--check") == 0
    assert run(folder) == 0
    assert plot.read_bytes() == other_version, "a figure that is not stale is not drawn again"
    header, first, *rest = (FOLDER / "published.csv").read_text().splitlines()
    published.write_text("\n".join([header, first.replace("sysu_all", "sysu_indoor"), *rest, ""]))
    flags = ["--published", str(published)]
    assert run(folder, *flags, "--check") == 1
    assert "published.svg out of date" in capsys.readouterr().err
    assert run(folder, *flags) == 0
    assert plot.read_bytes() != other_version
    assert run(folder, *flags, "--check") == 0
    plot.unlink()
    assert run(folder, *flags, "--check") == 1


def test_a_broken_record_fails_the_build_and_the_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder) == 0
    (folder / "records" / "broken.json").write_text('{"schema": 2}')
    for flags in ([], ["--check"]):
        assert run(folder, *flags) == 2
        assert "broken.json: result: missing" in capsys.readouterr().err


def test_a_missing_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path) == 2
    assert f"--records {tmp_path / 'records'}: no such folder" in capsys.readouterr().err
    assert not (tmp_path / "LEADERBOARD.md").exists()


def test_a_row_of_an_ablation_is_refused(tmp_path: Path) -> None:
    write_record(tmp_path / "a.json", make_record(provenance={"ablation": "sclhm-sysu_all-1234: + soft targets"}))
    with pytest.raises(UsageError, match=r"a\.json: belongs to an ablation"):
        load_records(tmp_path)


def test_a_row_shows_only_settings_of_its_own_encoder() -> None:
    small = make_record("pgm", 0, [0.3], config={"encoder": {"name": "small", "width": 8}})
    vit = make_record("pgm", 0, [0.4], config={"encoder": {"name": "vit_s16", "bn_groups": 2}})
    text = build({"0.json": small, "1.json": vit}, published=choose([]))
    assert "pgm (bn_groups=1, name=small, non_local=False, width=8)" in text
    assert "pgm (bn_groups=2, name=vit_s16)" in text


def order_page(made: list[Record], published: list[Published]) -> str:
    sections = board_sections(score_tables({f"{i:02}.json": record for i, record in enumerate(made)}), published)
    return build_published(published, [section.order for section in sections if section.order])


def test_on_synthetic_people_only_the_ranking_is_compared_with_the_published_one() -> None:
    published = choose(
        [
            make_figure(method="ADCA", metrics={"mAP": "42.7"}),
            make_figure(method="PGM", metrics={"mAP": "51.8"}),
            make_figure(method="PCLHD", metrics={"mAP": "58.7"}),
        ]
    )
    means = {"adca": [0.3, 0.4], "pgm": [0.3, 0.3], "pclhd": [0.5, 0.5], "sclhm": [0.9, 0.9]}
    made = [record for method, values in means.items() for record in seeds(method, values)]
    text = order_page(made, published)
    assert "(2 of 3 pairs agree)" in text
    ranks = tables(text[text.index("published ranking on") :])[0]
    assert ranks["pclhd"] == ["50.4", "1", "58.7", "1"]
    assert ranks["adca"] == ["35.4", "2", "42.7", "3"]
    assert ranks["pgm"] == ["30.4", "3", "51.8", "2"]
    assert "sclhm" not in ranks, "no figure of it is published"
    released = seeds("pclhd", [0.1] * 3, config={"method": {"form": "released"}})
    both = order_page([*released, *made], published)
    assert "(2 of 3 pairs agree)" in both, "a method counts once, with the row that has its defects repaired"
    assert "released" not in str(tables(both[both.index("published ranking on") :])[0])
    for mean in (0.95, 0.05):
        other = seeds("pgm", [mean, mean], config={"method": {"zeta": 1}})
        two = order_page([*other, *made], published)
        ranked = [name for name in tables(two[two.index("published ranking on") :])[0] if name.startswith("pgm")]
        assert ranked == ["pgm (zeta=1)"], "which of two is ranked does not depend on their scores"
    few = order_page(made[:4], published)
    assert "published ranking on" not in few
    real = order_page([make_record(record.result.method, 0, [0.3], real=True) for record in made[::2]], published)
    assert "published ranking on" not in real
    assert ORDER_TITLE in text
    assert ORDER_TITLE not in real
    board = build({f"{i:02}.json": record for i, record in enumerate(made)}, published)
    assert "published ranking on" not in board, "the order is shown with the published figures only"


def test_a_record_with_edited_settings_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = next((folder / "records").rglob("*.json"))
    content = json.loads(path.read_text())
    content["result"]["config"]["method"]["eps"] = 0.123
    path.write_text(json.dumps(content))
    assert run(folder) == 2
    assert f"{path.name}: changed since it was written (its digest differs)" in capsys.readouterr().err
    del content["digest"]
    write_sealed_json(path, content)
    assert run(folder) == 2
    assert f"{path.name}: result.config_hash: not the hash of result.config" in capsys.readouterr().err


def test_records_that_contradict_themselves_are_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = (consistent(make_record("hil", seed)) for seed in (0, 1))
    write_record(folder / "records" / "a.json", replace(one, result=replace(one.result, seed=5)))
    write_record(folder / "records" / "b.json", replace(two, result=replace(two.result, uses_identities=True)))
    assert run(folder, "--check") == 2
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == "error: 2 faults in the records:"
    assert lines[0].startswith("a.json: provenance.stages: the keys are not those of ")
    assert lines[1].startswith("b.json: result.uses_identities: True, but hil has False")
    write_record(folder / "records" / "a.json", one)
    write_record(folder / "records" / "b.json", replace(one, provenance={**one.provenance, "cpu": "another"}))
    assert run(folder, "--check") == 2
    assert "b.json: result.scores: equal to those of a.json in every digit" in capsys.readouterr().err


def test_odd_files_are_named_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "records").mkdir()
    (tmp_path / "pages" / "LEADERBOARD.md").mkdir(parents=True)
    options = ["--records", str(tmp_path / "records"), "--output", str(tmp_path / "pages")]
    assert main(options) == 2
    assert "LEADERBOARD.md: Is a directory; check the path" in capsys.readouterr().err
    (tmp_path / "records" / "\x1b[31m.json").write_text("{}")
    assert main(options) == 2
    assert "\\x1b[31m.json: schema" in capsys.readouterr().err


def test_no_table_has_two_settings_or_forms() -> None:
    everything = [
        record
        for setting in ("shared", "paper")
        for form in ("repaired", "released")
        for record in seeds("pclhd", [0.5, 0.5], setting=setting, config={"method": {"form": form}})
    ]
    everything += seeds("adca", [0.4, 0.4])  # without a released form
    found = score_tables({f"{i}.json": record for i, record in enumerate(everything)})
    combinations = {(t.key.setting, t.key.form): [row.method for row in t.rows] for t in found}
    assert combinations == {
        ("shared", "repaired"): ["pclhd", "adca", ""],
        ("shared", "released"): ["pclhd", ""],
        ("paper", "repaired"): ["pclhd", ""],
        ("paper", "released"): ["pclhd", ""],
    }
    sections = board_sections(found, [])
    assert len({section.table.name for section in sections}) == 4
    for section, table in zip(sections, found, strict=True):
        assert f"{table.key.setting} setting, {table.key.form} form" in section.table.title


def test_the_processors_of_a_board_are_stated() -> None:
    made = [make_record("adca", seed, provenance={"cpu": cpu}) for seed, cpu in enumerate(("AMD", "Intel `i`", "AMD"))]
    made.append(make_record("pgm", provenance={"cpu": "AMD", "gpu": "H200"}))
    (table,) = score_tables({f"{i}.json": record for i, record in enumerate(made)})
    assert table.data.endswith(" Processors of the runs: AMD (2 runs), H200 (1 run), Intel \\`i\\` (1 run).")
    assert table.data in build({f"{i}.json": record for i, record in enumerate(made)})
