"""Report of a run: complete for a complete run, with notes about missing parts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import matplotlib
import pytest
from PIL import Image

from tests.reports.fake_run import make_run
from usvi_bench.cli.report import main
from usvi_bench.core.errors import UsageError
from usvi_bench.core.table import to_markdown
from usvi_bench.protocols.evaluation_file import load_evaluation
from usvi_bench.reports.page import DIAGNOSIS, table_from_json, table_json
from usvi_bench.reports.report import write_report

FIGURES = [
    *("losses", "clusters", "quality", "matches", "cost", "scores"),
    *("tsne", "distances", "ranking", "worst", "confusion", "causes", "traits", "open_set"),
]

PAGES = {"report.md", "report.html", "report.json"}
SHEETS = {"open_set_pairs.csv", "open_set_queries.csv"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = make_run(tmp_path_factory.mktemp("report"))
    before = dict(matplotlib.rcParams)
    assert write_report(run) == run / "report" / "report.md"
    assert dict(matplotlib.rcParams) == before
    return run


def read(run: Path) -> str:
    return (run / "report" / "report.md").read_text()


def test_every_figure_is_written_and_shown(run: Path) -> None:
    assert re.findall(r"!\[.+\]\((\w+)\.png\)", read(run)) == FIGURES
    for name in FIGURES:
        for end, millimetres in (("", 85), ("-wide", 170)):
            with Image.open(run / "report" / f"{name}{end}.png") as picture:
                assert picture.width == int(millimetres / 25.4 * 300)
            points = f"{millimetres / 25.4 * 72:.4f}"[:5]
            assert f'width="{points}' in (run / "report" / f"{name}{end}.svg").read_text()[:2000]
            assert f"/MediaBox [ 0 0 {points}".encode() in (run / "report" / f"{name}{end}.pdf").read_bytes()
    names = {f"{name}{end}.{kind}" for name in FIGURES for end in ("", "-wide") for kind in ("png", "svg", "pdf")}
    assert {p.name for p in (run / "report").iterdir()} == names | PAGES | {"assets", "pictures"} | SHEETS


def test_json_has_the_content_of_the_page_and_existing_files(run: Path) -> None:
    folder = run / "report"
    content = json.loads((folder / "report.json").read_text())
    assert [figure["id"] for figure in content["figures"]] == FIGURES
    assert [name for section in content["sections"] for name in section["figures"]] == FIGURES
    for figure in content["figures"]:
        assert figure["alt"]
        assert (folder / figure["svg"]).is_file()
        assert (folder / figure["png"]).is_file()
        assert sorted(figure["files"]) == sorted(
            path.name for path in folder.glob(f"{figure['id']}*.*") if path.suffix != ".csv"
        )
        assert {*figure["files"]} <= {*content["files"]}  # with checksums
        assert "seed 0" in figure["caption"]
    assert content["pictures"] == {"shown": True, "why": "The people are synthetic."}
    assert all((folder / image["picture"]).is_file() for image in content["images"])
    tsne = content["data"]["tsne"]
    assert [panel["title"] for panel in tsne["panels"]] == ["before training", "after training"]
    assert len(tsne["images"]) == len(tsne["panels"][0]["x"]) == 10 * 4 * 2
    assert [(panel["people"], panel["met"]) for panel in tsne["panels"]][1] == (22, 22)
    assert content["data"]["curves"]["series"]["match recall"][:4] == [None] * 4
    saved = load_evaluation(run / "evaluation.npz")
    queries = content["data"]["rankings"]["queries"]
    assert [query["ap"] for query in queries] == sorted((query["ap"] for query in queries), reverse=True)
    rows = {path: row for row, path in enumerate(saved.query.paths)}
    for query in queries:
        row = rows[content["images"][query["image"]]["path"]]
        shown = [content["images"][entry["image"]]["path"] for entry in query["ranked"]]
        assert shown == [saved.gallery.paths[column] for column in saved.order[row]]
        assert [entry["right"] for entry in query["ranked"]] == saved.matches[row].tolist()


def test_the_table_shows_student_teacher_oracle_and_chance(run: Path) -> None:
    rows = dict(re.findall(r"^\| (\S.*?) \| (.*) \|$", read(run), flags=re.M))
    assert rows["student (headline)"] == "41.0 | 41.1 | 41.2 | 41.3 | 41.4 | 41.5"
    assert rows["teacher"] == "50.0 | 50.1 | 50.2 | 50.3 | 50.4 | 50.5"
    assert rows["student (best epoch by test score, not a result)"].startswith("60.0")
    assert rows["chance"].startswith("5.0")


def test_the_json_and_the_page_have_equal_tables(run: Path) -> None:
    content = json.loads((run / "report" / "report.json").read_text())
    assert {"scores", "worst", "pairs"} <= {table["id"] for table in content["tables"]}
    for table in content["tables"]:
        again = table_from_json(table)
        assert to_markdown(again) in read(run), table["id"]
        assert table_json(again) == table
    (older,) = ({name: value for name, value in table.items() if name != "words"} for table in content["tables"][:1])
    assert table_from_json(older).words == 1


def test_the_page_describes_the_run(run: Path) -> None:
    text = read(run)
    assert text.startswith("# sclhm on sysu_all, seed 0\n")
    assert "synthetic people, size small, seed 0 (fingerprint `ffffffffffffffff`)" in text
    assert "Mean over 2 trials in 1 fold; a single seed" in text
    assert "single-shot, seeded gallery" in text
    assert (
        "8 epochs, cluster_contrast then sclhm; stages are numbered, and a dotted line marks the start of a stage."
        in text
    )
    assert "commit 0123456789abcdef" in text
    assert "Incomplete" not in text


def test_label_based_figures_are_marked(run: Path) -> None:
    sections = read(run).split("\n## ")
    marked = {section.splitlines()[0] for section in sections if DIAGNOSIS in section}
    assert marked == {"Training", "Features", "Ranked lists", "Confused pairs", "Error by cause", "Open set"}
    figures = json.loads((run / "report" / "report.json").read_text())["figures"]
    assert {f["id"] for f in figures if DIAGNOSIS not in f["caption"]} == {"losses", "cost"}


def test_each_figure_states_its_own_numbers(run: Path) -> None:
    figures = json.loads((run / "report" / "report.json").read_text())["figures"]
    saved = load_evaluation(run / "evaluation.npz")
    wrong = int((~saved.matches[:, 0]).sum())
    people = len(set(saved.query.identities[~saved.matches[:, 0]].tolist()))
    captions = {figure["id"]: figure["caption"] for figure in figures}
    for name, words in {
        "losses": "n = 400 visible and 200 infrared images",
        "scores": "scored in 2 epochs of stage sclhm",
        "tsne": "10 people, 40 visible and 40 infrared images",
        "distances": f"88 visible and 88 infrared test images of 22 people ({176 * 175 // 2:,} pairs)",
        "ranking": "5 of 88 valid infrared queries of 22 people, gallery of 22 visible images of 22 people",
        "worst": "5 of 88 valid infrared queries",
        "confusion": "6 of ",
        "causes": "n = 88 valid infrared queries of 22 people",
        "traits": f"n = {wrong} infrared queries of {people} people with a wrong person at rank 1",
        "open_set": "n = 88 infrared queries of 22 people, gallery of 22 visible images",
    }.items():
        assert words in captions[name].replace("\\", ""), name


def test_remaking_gives_the_same_bytes(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = {path.name: path.read_bytes() for path in (run / "report").rglob("*.*")}
    inputs = {name: (run / name).read_bytes() for name in ("record.json", "journal.jsonl", "evaluation.npz")}
    main([str(run)])
    assert capsys.readouterr().out.strip() == str(run / "report" / "report.html")
    assert {path.name: path.read_bytes() for path in (run / "report").rglob("*.*")} == first
    assert {name: (run / name).read_bytes() for name in inputs} == inputs


def test_missing_images_are_counted(tmp_path: Path) -> None:
    run = make_run(tmp_path, pictures=False, lean=True)
    write_report(run)
    assert "images could not be opened" in read(run)
    assert (run / "report" / "ranking.png").exists()
    images = json.loads((run / "report" / "report.json").read_text())["images"]
    assert {image["picture"] for image in images} == {None}


def test_real_people_are_shown_only_if_asked_for(tmp_path: Path) -> None:
    run = make_run(tmp_path, lean=True, real=True)
    main([str(run), "--with-pictures"])
    folder = run / "report"
    pictured = {"ranking.png", "ranking.svg", "worst.png", "worst.svg", "confusion.png", "confusion.svg", "pictures"}
    assert pictured - {"confusion.png", "confusion.svg"} <= {path.name for path in folder.iterdir()}
    assert list((folder / "pictures").iterdir())
    assert "They did not consent to publication" not in read(run)
    main([str(run)])
    assert "They did not consent to publication" in read(run)
    assert not list(folder.glob("pictures/*"))  # none of an earlier report stays
    assert not pictured - {"pictures"} & {path.name for path in folder.iterdir()}
    content = json.loads((folder / "report.json").read_text())
    assert content["pictures"]["shown"] is False
    assert {image["picture"] for image in content["images"]} == {None}


def test_nothing_trained_and_nothing_saved(tmp_path: Path) -> None:
    run = make_run(tmp_path, pictures=False, lean=True, folds=[1, 2], uses_identities=True)
    write_report(run)
    (run / "evaluation.npz").unlink()
    write_report(run)
    text = read(run)
    assert "Training curves: nothing was trained." in text
    assert "the run has no evaluation.npz." in text
    assert "![" not in text
    assert "**Incomplete**: headline trials are missing in fold 2." in text
    assert "**Trained with true identities**" in text
    kept = {path.name for path in (run / "report").iterdir() if path.is_file()}
    assert kept == PAGES  # no figure of an earlier state stays
    (run / "journal.jsonl").write_text("")
    write_report(run)
    assert read(run) == text


def test_the_report_of_a_record_alone_lists_missing_parts(tmp_path: Path) -> None:
    run = make_run(tmp_path, lean=True)
    record = tmp_path / "alone" / "sclhm-seed0.json"
    record.parent.mkdir()
    record.write_bytes((run / "record.json").read_bytes())
    with pytest.raises(UsageError, match="give the folder of the report with --output"):
        main([str(record)])
    main([str(record), "--output", str(tmp_path / "out")])
    text = (tmp_path / "out" / "report.md").read_text()
    assert text.count("only the record is available") == 2
    assert [path.name for path in record.parent.iterdir()] == [record.name]


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no record\.json and no record below it; give the folder of a finished run"):
        main([str(tmp_path)])
    assert not list(tmp_path.iterdir())


def test_a_misspelt_run_or_option_gets_a_suggestion(tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs" / "sclhm-seed0", lean=True).parent
    with pytest.raises(UsageError, match=rf"shclm-seed0: no such file or folder; did you mean {run}\?"):
        main([str(run.with_name("shclm-seed0"))])
    with pytest.raises(UsageError, match=r"no such file or folder; did you mean .*/runs\?$"):
        main([str(tmp_path / "rnus" / "sclhm-seed0")])
    with pytest.raises(UsageError, match=r"zebra: no such file or folder; check the path$"):
        main([str(tmp_path / "zebra")])
    with pytest.raises(UsageError, match=r"did you mean --output"):
        main([str(run), "--outptu", "x"])


def test_a_run_of_synthetic_people_shows_no_pictures_of_another_folder(tmp_path: Path) -> None:
    run = make_run(tmp_path, lean=True)
    for note in tmp_path.rglob("synthetic.json"):
        note.unlink()
    main([str(run)])
    content = json.loads((run / "report" / "report.json").read_text())
    assert content["pictures"]["shown"] is False
    assert "is not a folder of synthetic people" in content["pictures"]["why"]
    assert not list((run / "report").glob("pictures/*"))
