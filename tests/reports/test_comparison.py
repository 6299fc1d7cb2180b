"""Comparison of runs: selection of the pairs, and numbers equal to those of the records."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.leaderboard.records import make_record, make_score
from tests.reports.fake_run import make_run
from usvi_bench.cli.report import main
from usvi_bench.core.errors import UsageError
from usvi_bench.core.record import write_record
from usvi_bench.protocols.base import QueryScores
from usvi_bench.protocols.query_file import save_query_scores
from usvi_bench.reports.groups import comparable, paired
from usvi_bench.reports.runs import RecordedRun, find_recorded_runs
from usvi_bench.reports.side_by_side import overlay_figure


def add(folder: Path, name: str, value: float, *, queries: bool = True, **changes: object) -> Path:
    """Make a run folder whose query scores rise with ``value``."""
    made = make_run(folder / f"{name}.made", pictures=False)
    run = folder / name
    made.rename(run)
    write_record(run / "record.json", make_record(scores=[make_score(value), make_score(value, trial=1)], **changes))
    if queries:
        precision = np.clip(np.random.default_rng(0).uniform(0, 0.5, (2, 88)) + value, 0, 1)
        identities = np.repeat(np.arange(22), 4)
        first_match_rank = np.where(precision > 0.7, 0, 2)
        scores = QueryScores(precision, first_match_rank, identities, tuple(map(str, range(88))))
        save_query_scores(run / "queries.npz", {1: scores})
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    add(folder, "adca-seed0", 0.1, method="adca", config_hash="a")
    add(folder, "adca-seed1", 0.2, method="adca", config_hash="a", seed=1)
    add(folder, "sclhm-seed0", 0.4, method="sclhm", config_hash="b")
    return folder


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the folders that got a report of one run; drawing is tested elsewhere."""
    folders: list[Path] = []
    monkeypatch.setattr("usvi_bench.reports.comparison.report_on", lambda source, folder, shown: folders.append(folder))
    return folders


def test_page_json_and_a_report_of_each_run(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], reported: list[Path]
) -> None:
    main([str(runs), "--output", str(tmp_path)])
    assert capsys.readouterr().out.strip() == str(tmp_path / "report.html")
    content = json.loads((tmp_path / "report.json").read_text())
    assert [run["folder"] for run in content["runs"]] == ["adca-seed0", "adca-seed1", "sclhm-seed0"]
    assert reported == [tmp_path / run["folder"] for run in content["runs"]]
    names = [f"{name}-sysu_all" for name in ("results", "cmc", "paired", "curves", "tsne")]
    assert [figure["id"] for figure in content["figures"]] == names
    scores, differences = content["tables"]
    assert [row[:2] for row in scores["rows"]] == [["sclhm", 1], ["adca", 2]]
    assert scores["rows"][1][2] == "15.0 ± 7.1"
    assert len(differences["rows"]) == 4  # a pair, two metrics, two units
    found = {(entry["metric"], entry["unit"]): entry for entry in content["data"]["paired"]}
    assert found["mAP", "person"]["baseline"] == "adca"
    assert found["mAP", "person"]["difference"] > 0.2
    assert found["mAP", "person"]["low"] > 0
    captions = {figure["id"]: figure["caption"].replace("\\", "") for figure in content["figures"]}
    assert "n = 88 valid queries, 1 fold, 2 trials" in captions["cmc-sysu_all"]
    assert "Band: range over the seeds of adca. No band: sclhm with one seed." in captions["cmc-sysu_all"]
    assert "One seed, no interval: sclhm." in captions["results-sysu_all"]
    assert "10 people, 40 visible and 40 infrared images" in captions["tsne-sysu_all"]
    for caption in captions.values():
        assert "adca: seed" in caption


@pytest.mark.usefixtures("reported")
def test_old_runs_without_query_scores_are_named(runs: Path, tmp_path: Path) -> None:
    old = add(tmp_path, "old-seed0", 0.3, queries=False, method="old", config_hash="c")
    main([str(runs / "sclhm-seed0"), str(old), "--output", str(tmp_path / "out")])
    text = (tmp_path / "out" / "report.md").read_text()
    assert "need the scores of all queries, which old-seed0 did not store" in text
    assert "it trains again unless the finished training is in the output folder" in text
    assert "Paired differences" not in text


def test_only_runs_of_one_protocol_and_data_set_are_compared(runs: Path) -> None:
    first, *_, last = find_recorded_runs([runs])
    other = replace(last.record, result=replace(last.record.result, protocol="sysu_indoor"))
    data = {**last.record.result.dataset, "fingerprint": "0" * 16}
    moved = replace(last.record, result=replace(last.record.result, dataset=data))  # type: ignore[arg-type]
    sets = comparable([first, last, RecordedRun("b", other, None), RecordedRun("c", moved, None)])
    assert {name: [g.label for g in groups] for name, groups in sets.items()} == {
        "sysu_all": ["sclhm", "adca"],
        "sysu_indoor": ["sclhm"],
        "sysu_all-3": ["sclhm"],
    }


def test_two_settings_of_a_method_are_two_rows_and_duplicate_seeds_are_refused(runs: Path) -> None:
    first, second, _ = find_recorded_runs([runs])
    changed = replace(second.record, result=replace(second.record.result, config_hash="0123456789"))
    (groups,) = comparable([first, RecordedRun("other", changed, None)]).values()
    assert {group.label for group in groups} == {"adca (a)", "adca (012345)"}
    with pytest.raises(UsageError, match="give each seed of a configuration once"):
        comparable([first, RecordedRun("again", first.record, None)])


def test_rows_of_a_grid_are_no_runs_of_their_own(tmp_path: Path, runs: Path) -> None:
    own, *_ = find_recorded_runs([runs])
    row = replace(own.record, provenance={**own.record.provenance, "ablation": "parts: full method"})
    write_record(tmp_path / "ablations/grid/jobs/0/record.json", row)
    assert [run.record for run in find_recorded_runs([tmp_path / "ablations"])] == [row]
    write_record(tmp_path / "sysu_all/sclhm-seed0/record.json", own.record)
    assert [run.record for run in find_recorded_runs([tmp_path])] == [own.record]


def test_code_of_a_plugin_and_scored_folds_make_rows_and_sets(runs: Path) -> None:
    source = find_recorded_runs([runs / "sclhm-seed0"])[0].record
    plugin = {"name": "m.py", "origin": "import", "sha256": "a" * 64, "parts": ["method sclhm"]}
    changed = []
    for number, digest in enumerate("ab"):
        made = {**source.provenance, "plugins": [{**plugin, "sha256": digest * 64}]}
        result = replace(source.result, seed=number)
        changed.append(RecordedRun(digest, replace(source, result=result, provenance=made), None))
    (groups,) = comparable(changed).values()
    assert {group.label for group in groups} == {"sclhm (m.py@aaaaaaaa)", "sclhm (m.py@bbbbbbbb)"}
    folds = replace(source.result, folds=[1, 2])
    both = [*source.result.scores, *(replace(score, fold=2) for score in source.result.scores)]
    complete = replace(source, result=replace(folds, scores=both))
    every, first = RecordedRun("a", complete, None), RecordedRun("b", replace(source, result=folds), None)
    assert len(comparable([every, first])) == 2


def test_a_comparison_neither_overwrites_nor_removes_a_run(tmp_path: Path, reported: list[Path]) -> None:
    found = [add(tmp_path / "runs", f"{method}-seed0", 0.1, method=method) for method in ("adca", "pgm", "hil")]
    for output in (tmp_path / "runs", found[0]):
        with pytest.raises(UsageError, match="would be written into the run"):
            main([*map(str, found), "--output", str(output)])
    for run in found:  # as an earlier version wrote them
        (run / "report.json").write_text("{}")
    (tmp_path / "runs" / "report.json").write_text("{}")
    away = [run.rename(tmp_path / run.name) for run in found[:2]]
    main([*map(str, away), "--output", str(tmp_path / "runs")])
    assert (found[2] / "record.json").exists()


def test_many_methods_are_compared_with_the_best_only(runs: Path) -> None:
    source = find_recorded_runs([runs / "sclhm-seed0"])[0]
    several = []
    for number in range(7):
        result = replace(source.record.result, method=f"m{number}", config_hash=str(number))
        several.append(RecordedRun(f"m{number}", replace(source.record, result=result), source.folder))
    (groups,) = comparable(several).values()
    assert {better.label for _, better, *_ in paired(groups)} == {"m0"}
    assert len({worse.label for worse, *_ in paired(groups)}) == 6


def test_curves_are_means_over_seeds(runs: Path) -> None:
    (groups,) = comparable(find_recorded_runs([runs])).values()
    figure = overlay_figure(groups)
    clusters = figure.axes[0]
    lines = {line.get_label(): line for line in clusters.get_lines()}
    assert list(lines["adca"].get_ydata()) == [40, 39, 38, 37] * 2
    assert len(figure.axes) == 6


def test_several_runs_need_an_output_folder(runs: Path) -> None:
    with pytest.raises(UsageError, match="3 runs: give the folder of their comparison with --output"):
        main([str(runs)])


@pytest.mark.usefixtures("reported")
def test_the_scores_are_written_as_csv_and_latex(runs: Path, tmp_path: Path) -> None:
    main([str(runs), "--output", str(tmp_path)])
    header, first, second = csv.reader((tmp_path / "scores-sysu_all.csv").read_text().splitlines())
    assert header[:4] == ["method", "n", "R1 mean", "R1 sd"]
    assert (first[0], first[3]) == ("sclhm", "")
    assert float(second[header.index("R1 mean")]) == pytest.approx(0.15)
    assert float(second[header.index("R1 sd")]) == pytest.approx(0.0707, abs=1e-4)
    latex = (tmp_path / "scores-sysu_all.tex").read_text()
    assert latex.startswith("% sysu_all; percent; mean and sample sd")
    assert r"adca & 2 & 15.0 $\pm$ 7.1 &" in latex
    text = (tmp_path / "report.md").read_text().replace("\\", "")
    assert "Files: scores-sysu_all.csv, scores-sysu_all.tex." in text
    main([str(runs / "sclhm-seed0"), str(runs / "adca-seed0"), "--output", str(tmp_path)])
    assert len((tmp_path / "scores-sysu_all.csv").read_text().splitlines()) == 3
