"""Tables and figures of an ablation, compared with explicit sums."""

from __future__ import annotations

import csv
import json
import statistics
from pathlib import Path
from typing import Any

import pytest

from tests.leaderboard.records import make_record
from usvi_bench.core.errors import UsageError
from usvi_bench.core.record import write_record
from usvi_bench.core.sealed import write_sealed_json
from usvi_bench.core.table import to_markdown
from usvi_bench.reports.ablation import publish_ablation, sensitivities, write_ablation
from usvi_bench.reports.ablation_effects import effects, effects_table
from usvi_bench.reports.ablation_table import gain, read_ablation, read_grid, rows_table

SCORES: dict[str, dict[int, float]] = {
    "base_100%": {0: 0.20, 1: 0.24, 2: 0.22},
    "+ part": {0: 0.25, 1: 0.26},
    "lost": {},
    "full": {0: 0.30, 1: 0.33, 2: 0.36},
    "tau 0.1": {0: 0.21},
    "tau 0.9": {0: 0.23},
}
SETTINGS: dict[str, dict[str, Any]] = {
    "base_100%": {"method.part": False},
    "+ part": {"method.part": False, "method.tau": 0.1},
    "lost": {"method.tau": 0.7},
    "full": {},
    "tau 0.1": {"method.tau": 0.1},
    "tau 0.9": {"method.tau": 0.9},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = []
    for name, scores in SCORES.items():
        values = {"method.part": True, "method.tau": 0.3, **SETTINGS[name]}
        runs = {str(seed): f"jobs/{len(rows)}-{seed}" for seed in range(3)}
        rows.append({"name": name, "settings": SETTINGS[name], "values": values, "runs": runs})
        for seed, score in scores.items():
            write_record(
                tmp_path / runs[str(seed)] / "record.json", make_record(seed=seed, means=(score, score + 0.01))
            )
    (tmp_path / "jobs/2-1").mkdir(parents=True)
    (tmp_path / "jobs/2-1/error.json").write_text(json.dumps({"message": "visible: 1 cluster"}))
    about = {"method": "sclhm", "protocol": "sysu_all", "setting": "shared", "settings": {}, "seeds": 3, "rows": rows}
    write_sealed_json(tmp_path / "grid.json", {**about, "data": "synthetic people (size=small)"})
    return tmp_path


def per_seed(name: str, offset: float = 0.005) -> dict[int, float]:
    return {seed: score + offset for seed, score in SCORES[name].items()}


def test_means_and_gains_use_equal_seeds(folder: Path) -> None:
    rows = {row.name: row for row in read_ablation(folder).rows}
    full, part = per_seed("full"), per_seed("+ part")
    assert rows["full"].mean("R1") == pytest.approx(statistics.mean(full.values()))
    assert rows["full"].sd("R1") == pytest.approx(statistics.stdev(full.values()))
    assert rows["tau 0.1"].sd("R1") is None
    differences = [full[seed] - part[seed] for seed in (0, 1)]
    found = gain(rows["full"], rows["+ part"], "R1")
    assert found is not None
    assert found.seeds == 2
    assert found.mean == pytest.approx(statistics.mean(differences))
    assert found.sd == pytest.approx(statistics.stdev(differences))
    assert gain(rows["full"], rows["lost"], "R1") is None


def test_the_page_shows_all_rows_and_lists_missing_runs(folder: Path) -> None:
    text = write_ablation(folder).read_text()
    assert to_markdown(rows_table(read_ablation(folder))) in text
    rows = [line.split(" | ") for line in text.partition("## ")[0].splitlines() if line.startswith("| ")]
    assert [row[0].removeprefix("| ") for row in rows[2:]] == list(SCORES)
    assert [row[1] for row in rows[2:]] == ["3", "2 of 3", "0 of 3", "3", "1 of 3", "1 of 3"]
    assert rows[2][2] == "22.5 ± 2.0"
    assert rows[3][6] == "+3.5 ± 2.1", "over the row above: 5.0 and 2.0"
    assert rows[5][8] == "+11.0 ± 2.6", "over the first row: 10, 9 and 14"
    assert "* lost, seed 1: failed: visible: 1 cluster" in text
    assert "* + part, seed 2: not run yet" in text


def test_latex_and_csv_have_the_same_values(folder: Path) -> None:
    write_ablation(folder)
    latex = (folder / "table.tex").read_text()
    assert r"base\_100\% & 22.5 $\pm$ 2.0" in latex
    assert r"+3.5 $\pm$ 2.1" in latex
    body = [line for line in latex.splitlines() if line.endswith(r"\\")]
    assert len(body) == 2 + len(SCORES)
    assert {line.count("&") for line in body[1:]} == {8}
    rows = list(csv.DictReader((folder / "table.csv").open()))
    assert [row["row"] for row in rows] == [f"'{name}" if name.startswith("+") else name for name in SCORES]
    assert float(rows[3]["R1_over_first"]) == pytest.approx(0.11)
    assert rows[2]["R1"] == rows[0]["R1_over_above"] == ""
    assert json.loads(rows[4]["settings"]) == {"method.tau": 0.1}


def naive_effects(folder: Path, metric: str) -> dict[tuple[str, Any, Any], tuple[int, dict[int, float]]]:
    """Compute, by setting and pair of values, the pairs of rows and the gain by seed."""
    rows = read_ablation(folder).rows
    usual = {"method.part": True, "method.tau": 0.3}
    found: dict[tuple[str, Any, Any], list[dict[int, float]]] = {}
    for row in rows:
        for other in rows:
            for key, rest in (("method.part", "method.tau"), ("method.tau", "method.part")):
                here, there = row.values[key], other.values[key]
                if here == usual[key] != there and row.values[rest] == other.values[rest]:
                    ours, theirs = row.scores[metric].to_dict(), other.scores[metric].to_dict()
                    difference = {seed: ours[seed] - theirs[seed] for seed in ours if seed in theirs}
                    if ours and theirs:
                        found.setdefault((key, here, there), []).append(difference)
    return {
        key: (len(pairs), {s: statistics.mean(p[s] for p in pairs) for s in pairs[0] if all(s in p for p in pairs)})
        for key, pairs in found.items()
        if len(pairs) > 1
    }


@pytest.mark.parametrize("metric", ["R1", "mAP"])
def test_a_main_effect_is_the_mean_over_pairs_of_rows_that_differ_in_one_setting(folder: Path, metric: str) -> None:
    found = {
        (e.setting, e.value, e.other): (e.pairs, e.gains[metric].to_dict()) for e in effects(read_ablation(folder))
    }
    expected = naive_effects(folder, metric)
    assert found.keys() == expected.keys() == {("method.part", True, False), ("method.tau", 0.3, 0.1)}
    for key, (pairs, gains) in expected.items():
        assert found[key] == (pairs, pytest.approx(gains))
    assert found["method.part", True, False] == (2, {0: pytest.approx(0.03)}), "of 10 and -4; seed 1 is not in all rows"


def test_main_effects_are_on_the_page_if_there_are_any(folder: Path) -> None:
    text = write_ablation(folder).read_text()
    assert "| `method.part` True, not False | 2 | 1 | +3.0 | +3.0 | +3.0 |" in text
    about = read_grid(folder)
    again = {**about["rows"][3], "name": "full once more"}
    write_sealed_json(folder / "grid.json", {**about, "rows": [*about["rows"], again]})
    effects_again = effects_table(read_ablation(folder))
    assert effects_again is not None
    assert to_markdown(effects_again) in text, "rows of the same settings count once"
    write_sealed_json(folder / "grid.json", about)
    (folder / "jobs/4-0/record.json").unlink()  # one pair of rows is left for either setting
    assert "One setting at a time" not in write_ablation(folder).read_text()


def test_a_sweep_varies_one_number_only(folder: Path) -> None:
    (found,) = sensitivities(read_ablation(folder))
    assert found.setting == "method.tau"
    assert {value: row.name for value, row in found.points.items()} == {0.1: "tau 0.1", 0.3: "full", 0.9: "tau 0.9"}


def test_figures_have_three_formats_and_are_deterministic(folder: Path) -> None:
    (folder / "sensitivity-old.png").touch()
    write_ablation(folder)
    names = {"rows", "sensitivity-method-tau"}
    pictures = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".png", ".svg", ".pdf")}
    assert set(pictures) == {f"{name}.{kind}" for name in names for kind in ("png", "svg", "pdf")}
    write_ablation(folder)
    assert {name: (folder / name).read_bytes() for name in pictures} == pictures


def test_without_any_result_there_is_a_table_and_no_figure(folder: Path) -> None:
    for path in folder.glob("jobs/*/record.json"):
        path.unlink()
    text = write_ablation(folder).read_text()
    assert "0 of 3" in text
    assert not list(folder.glob("*.png"))


def test_only_the_table_and_its_records_are_published(folder: Path) -> None:
    ordinary = folder / "sysu_all" / "sclhm-seed0-abc"
    (folder / "jobs/0-0").rename(ordinary.parent.mkdir() or ordinary)
    (ordinary / "last.pth").write_text("weights")
    about = read_grid(folder)
    about["rows"][0]["runs"]["0"] = "sysu_all/sclhm-seed0-abc"
    write_sealed_json(folder / "grid.json", about)
    text = write_ablation(folder).read_text()

    page = publish_ablation(folder, folder / "kept")
    assert page == folder / "kept" / "sclhm-sysu_all" / "table.md"
    assert page.read_text() == text
    kept = {path.relative_to(page.parent).as_posix() for path in page.parent.rglob("*") if path.is_file()}
    names = [f"{i}-{seed}" for i, scores in enumerate(SCORES.values()) for seed in scores if (i, seed) != (0, 0)]
    records = {f"jobs/{name}/record.json" for name in (*names, "sclhm-seed0-abc")}
    pictures = {f"{name}.{kind}" for name in ("rows", "sensitivity-method-tau") for kind in ("png", "svg", "pdf")}
    assert kept == records | pictures | {"grid.json", "table.md", "table.csv", "table.tex", "jobs/2-1/error.json"}


def test_publishing_again_updates_to_the_grid(folder: Path) -> None:
    page = publish_ablation(folder, folder / "kept")
    (folder / "jobs/3-2/record.json").unlink()
    write_record(folder / "jobs/1-2/record.json", make_record(seed=2, means=(0.9, 0.9)))
    about = read_grid(folder)
    del about["rows"][-1]
    write_sealed_json(folder / "grid.json", about)
    text = write_ablation(folder).read_text()
    assert publish_ablation(folder, folder / "kept").read_text() == text
    jobs = {path.name for path in (page.parent / "jobs").iterdir()}
    assert "5-0" not in jobs, "its row is gone"
    assert "3-2" not in jobs, "its record is gone"
    assert "1-2" in jobs


def test_another_grid_is_not_overwritten(folder: Path) -> None:
    page = publish_ablation(folder, folder / "kept")
    about = read_grid(folder)
    before = page.read_text()
    for change in ({"settings": {"train.epochs": 1}}, {"schedule": "quick"}):
        write_sealed_json(folder / "grid.json", {**about, **change})
        with pytest.raises(UsageError, match="choose another folder"):
            publish_ablation(folder, folder / "kept")
    first, *others = about["rows"]
    renamed = [{**first, "name": "other"}, *others]
    reset = [{**first, "settings": {"method.tau": 0.7}}, *others]
    from_other_weights = [{**first, "runs": {seed: f"{run}-x" for seed, run in first["runs"].items()}}, *others]
    for rows in (renamed, reset, from_other_weights):
        write_sealed_json(folder / "grid.json", {**about, "rows": rows})
        with pytest.raises(UsageError, match=r"has another grid, or rows with other weights.*choose another folder"):
            publish_ablation(folder, folder / "kept")
    write_sealed_json(folder / "grid.json", {**about, "schedule": "quick"})
    assert page.read_text() == before
    assert "Schedule: quick." in write_ablation(folder).read_text()
    with pytest.raises(UsageError, match="is a file"):
        publish_ablation(folder, page)
    (folder / "other" / "sclhm-sysu_all").mkdir(parents=True)
    with pytest.raises(UsageError, match="not a published grid"):
        publish_ablation(folder, folder / "other")


def test_one_seed_has_no_standard_deviation(folder: Path) -> None:
    assert read_ablation(folder).made_from == "n = 1-3 seeds, mean ± sd; synthetic people"
    for run in folder.glob("jobs/*-[12]"):
        (run / "record.json").unlink(missing_ok=True)
    assert read_ablation(folder).made_from == "n = 1 seed; synthetic people"


def test_an_edited_grid_is_refused(folder: Path) -> None:
    content = json.loads((folder / "grid.json").read_text())
    content["rows"][0]["runs"], content["rows"][3]["runs"] = content["rows"][3]["runs"], content["rows"][0]["runs"]
    (folder / "grid.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"grid\.json is damaged: its content does not match its digest"):
        read_ablation(folder)
    del content["digest"]
    (folder / "grid.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"grid\.json is damaged .* make it again with run\.py ablation"):
        publish_ablation(folder, folder / "kept")


def test_a_record_in_the_cell_of_another_seed_is_refused(folder: Path) -> None:
    write_record(folder / "jobs/1-1/record.json", make_record(seed=2))
    with pytest.raises(UsageError, match=r"a run of sclhm, sysu_all, seed 2, in the cell of seed 1"):
        read_ablation(folder)
