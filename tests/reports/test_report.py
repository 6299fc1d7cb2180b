"""The page: whole on a whole run, and plain about whatever is missing."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib
import pytest
from PIL import Image

from engine.registry import UsageError
from reports.__main__ import main
from reports.report import DIAGNOSIS, write_report
from tests.reports.fake_run import make_run

FIGURES = ["losses", "clusters", "quality", "cost", "scores", "tsne", "ranking"]


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
        with Image.open(run / "report" / f"{name}.png") as picture:
            assert picture.width > 1000
    assert sorted(p.name for p in (run / "report").iterdir()) == sorted(["report.md", *(f"{n}.png" for n in FIGURES)])


def test_the_table_shows_student_teacher_oracle_and_chance(run: Path) -> None:
    rows = dict(re.findall(r"^\| (\S.*?) \| (.*) \|$", read(run), flags=re.M))
    assert rows["student (headline)"] == "41.0 | 41.1 | 41.2 | 41.3 | 41.4 | 41.5"
    assert rows["teacher"] == "50.0 | 50.1 | 50.2 | 50.3 | 50.4 | 50.5"
    assert rows["student (best epoch by test score, not a result)"].startswith("60.0")
    assert rows["chance"].startswith("5.0")


def test_the_page_says_what_was_run(run: Path) -> None:
    text = read(run)
    assert text.startswith("# sclhm on sysu_all, seed 0\n")
    assert "synthetic people, preset small, seed 0 (fingerprint `ffffffffffffffff`)" in text
    assert "Mean over 2 trials in 1 fold; one seed" in text
    assert "single-shot, seeded gallery" in text
    assert "8 epochs, cluster_contrast then sclhm." in text
    assert "commit 0123456789abcdef" in text
    assert "Incomplete" not in text


def test_label_based_figures_are_marked(run: Path) -> None:
    sections = read(run).split("\n## ")
    marked = {section.splitlines()[0] for section in sections if DIAGNOSIS in section}
    assert marked == {"Clusters", "Label quality", "Scores during training", "Features", "Ranked lists"}


def test_remaking_gives_the_same_bytes(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = {path.name: path.read_bytes() for path in (run / "report").iterdir()}
    inputs = {name: (run / name).read_bytes() for name in ("record.json", "journal.jsonl", "evaluation.npz")}
    assert main([str(run)]) == 0
    assert capsys.readouterr().out.strip() == str(run / "report" / "report.md")
    assert {path.name: path.read_bytes() for path in (run / "report").iterdir()} == first
    assert {name: (run / name).read_bytes() for name in inputs} == inputs


def test_pictures_gone(tmp_path: Path) -> None:
    run = make_run(tmp_path, pictures=False, lean=True)
    write_report(run)
    assert "15 pictures could not be opened" in read(run)  # 5 queries, 2 gallery images each
    assert (run / "report" / "ranking.png").exists()


def test_real_people_are_shown_only_if_asked_for(tmp_path: Path) -> None:
    run = make_run(tmp_path, lean=True, real=True)
    note = "Pictures of real people are left out"
    assert main([str(run)]) == 0
    without = (run / "report" / "ranking.png").read_bytes()
    assert note in read(run)
    assert main([str(run), "--with-pictures"]) == 0
    assert note not in read(run)
    assert (run / "report" / "ranking.png").read_bytes() != without


def test_nothing_trained_and_nothing_saved(tmp_path: Path) -> None:
    run = make_run(tmp_path, pictures=False, lean=True, folds=[1, 2], uses_identities=True)
    write_report(run)
    (run / "evaluation.npz").unlink()
    write_report(run)
    text = read(run)
    assert "Nothing was trained, so there are no curves." in text
    assert "Not drawn: the run has no evaluation.npz." in text
    assert "![" not in text
    assert "**Incomplete**: headline trials are missing in fold 2." in text
    assert "**Trained with true identities**" in text
    assert [path.name for path in (run / "report").iterdir()] == ["report.md"]  # no figure of an earlier state stays
    (run / "journal.jsonl").write_text("")
    write_report(run)
    assert read(run) == text


def test_not_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match=r"no record\.json; name the folder of a finished run"):
        write_report(tmp_path)
    assert main([str(tmp_path)]) == 2
    assert "no record.json" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
