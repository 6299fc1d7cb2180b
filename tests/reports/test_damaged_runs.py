"""Reports on damaged or hostile run folders: one message that names the file, and nothing outside the output folder."""

from __future__ import annotations

import io
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

from tests.leaderboard.records import make_record
from tests.reports.fake_run import epoch_line, make_run
from tests.reports.site.fake_site import make_leaderboard
from usvi_bench.cli.main import main
from usvi_bench.core.journal import Journal
from usvi_bench.core.record import write_record
from usvi_bench.core.sealed import write_sealed
from usvi_bench.protocols.base import QueryScores
from usvi_bench.protocols.query_file import save_query_scores
from usvi_bench.reports.pictures import may_be_shown
from usvi_bench.reports.runs import find_recorded_runs

FILES = ("record.json", "journal.jsonl", "evaluation.npz", "queries.npz")


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = make_run(tmp_path_factory.mktemp("damaged"), pictures=False, lean=True)
    Journal(run / "journal.jsonl").replace([epoch_line(epoch) for epoch in range(2)])
    queries = QueryScores(np.full((2, 3), 0.5), np.zeros((2, 3), np.int64), np.arange(3), ("a", "b", "c"))
    save_query_scores(run / "queries.npz", {1: queries})
    return run


@pytest.fixture
def run(intact: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(intact, tmp_path / "run"))


def refusal(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Run a command that must fail, and return its message."""
    assert main(list(map(str, words))) in (1, 2)
    error = capsys.readouterr().err
    assert 1 <= len(error.splitlines()) <= 3, error
    assert "Traceback" not in error
    assert "unexpected" not in error
    assert "please report" not in error
    return error


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def _dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nothing")


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 7])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _random(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(500) + b"\n")


def _list(path: Path) -> None:
    path.write_bytes(b"[]\n")


def _nested(path: Path) -> None:
    path.write_bytes(b"[" * 100_000 + b"\n")


SPOILS = [_folder, _fifo, _device, _loop, _dangling, _truncated, _empty, _random, _list, _nested]


@pytest.mark.parametrize("spoil", SPOILS)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named(
    run: Path, name: str, spoil: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(run / name)
    if (name, spoil) in (("journal.jsonl", _empty), ("journal.jsonl", _truncated)):
        assert main(["report", str(run)]) == 0, "an incomplete last line is ignored"
    elif name == "queries.npz":
        other = shutil.copytree(run, run.parent / "other", ignore=shutil.ignore_patterns("*.npz"), symlinks=True)
        write_record(other / "record.json", make_record("adca"))
        assert str(run / name) in refusal(capsys, "report", run, other, "--output", run.parent / "compared")
        assert not (run.parent / "compared").exists(), "nothing is drawn first"
    else:
        message = refusal(capsys, "report", run)
        assert str(run / name) in message
        assert ";" in message, "there is a remedy"


@pytest.mark.parametrize("spoil", [_folder, _fifo, _device, _truncated, _nested])
@pytest.mark.parametrize("name", FILES[:3])
def test_the_site_skips_a_damaged_run(
    run: Path, tmp_path: Path, name: str, spoil: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    shutil.move(run, runs / "bad")
    spoil(runs / "bad" / name)
    (runs / "good").mkdir()
    write_record(runs / "good/record.json", make_record("hil", 7))
    leaderboard = make_leaderboard(tmp_path / "leaderboard", {})
    site = tmp_path / "site"
    assert main(["site", "--output", str(site), "--leaderboard", str(leaderboard), "--runs", str(runs)]) == 0
    error = capsys.readouterr().err
    assert (site / "runs/local/good/index.html").is_file()
    if (name, spoil) != ("journal.jsonl", _truncated):
        assert str(runs / "bad" / name) in error
        assert (site / "runs/local/bad").exists() is (name != "record.json")
        assert not list(site.glob("runs/local/bad/*.svg"))


def arrays_of(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("order", np.full((8, 10), 10**6)),
        ("order", np.zeros((8, 0), int)),
        ("order", np.zeros(8, int)),
        ("order", np.full((8, 10), "x")),
        ("matches", np.ones((8, 10))),
        ("scores", np.zeros((3, 3))),
        ("average_precision", np.full(8, 7.0)),
        ("average_precision", np.full(3, 0.5)),
        ("query_modality", np.array("<script>")),
        ("query_modality", np.array("visible")),
        ("query_paths", np.array(["../../../etc/passwd"] * 8)),
        ("gallery_paths", np.array(["/etc/passwd"] * 2)),
        ("query_identities", np.array(["a"] * 8)),
        ("query_cameras", np.arange(3)),
        ("after", np.full((16, 16), np.nan)),
        ("after", np.zeros((3, 16))),
        ("before", np.zeros((16, 3))),
        ("identities", np.array(["a"] * 16)),
        ("infrared", np.zeros(16)),
        ("sample_paths", np.array(["../x"] * 16)),
        ("sample_cameras", np.zeros(3)),
        ("order", None),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    run: Path, name: str, value: np.ndarray | None, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = arrays_of(run / "evaluation.npz")
    assert name in arrays
    arrays = {**arrays, name: value} if value is not None else {k: v for k, v in arrays.items() if k != name}
    write_sealed(run / "evaluation.npz", lambda file: np.savez_compressed(file, **arrays))
    message = refusal(capsys, "report", run)
    assert str(run / "evaluation.npz") in message
    assert "score the run again" in message
    assert not list((run / "report").glob("*")) or not (run / "report/report.json").exists()


def test_arrays_larger_than_the_memory_are_not_unpacked(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("order.npy", "scores.npy"):
            archive.writestr(name, b"x" * 10)
    content = bytearray(packed.getvalue())
    for found in re.finditer(b"PK\x01\x02", bytes(content)):  # the size that the directory of the archive states
        content[found.start() + 24 : found.start() + 28] = (2**32 - 2).to_bytes(4, "little")

    def write(file: BinaryIO) -> None:
        file.write(content)

    write_sealed(run / "evaluation.npz", write)
    assert "the arrays are too large" in refusal(capsys, "report", run)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "<script>"},
        {"fold": 99},
        {"fold": "1"},
        {"losses": 3},
        {"losses": {"visible": "high"}},
        {"images": {"visible": 0, "infrared": 0}},
        {"clusters": {}},
        {"quality": []},
        {"seconds": {}},
        {"steps": 0},
        {"stage": None},
        {"stage_index": "x"},
        {"lr": [1]},
        {"peak_memory_mib": {}},
    ],
)
def test_lines_of_a_journal_that_cannot_be_drawn_are_refused(
    run: Path, change: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    Journal(run / "journal.jsonl").replace([epoch_line(0), epoch_line(1, **change)])
    assert str(run) in refusal(capsys, "report", run)


def test_ranked_lists_of_another_run_are_noted(run: Path) -> None:
    assert main(["report", str(run)]) == 0
    assert "evaluation.npz is of another run" in (run / "report/report.md").read_text()


def test_names_with_signs_of_markdown_and_of_formulas_are_drawn(tmp_path: Path) -> None:
    text = r"$\frac{ <b>|`*_[a](b) \u202e"
    run = make_run(tmp_path, pictures=False, lean=True, method=text, protocol=f"../../{text}")
    Journal(run / "journal.jsonl").replace([epoch_line(i, stage=text, losses={text: 1.0}) for i in range(2)])
    other = Path(shutil.copytree(run, tmp_path / "other"))
    write_record(other / "record.json", make_record("adca", protocol=f"../../{text}"))
    before = {path for path in tmp_path.rglob("*") if "out" not in path.parts}
    assert main(["report", str(run), str(other), "--output", str(tmp_path / "out")]) == 0
    assert {path for path in tmp_path.rglob("*") if "out" not in path.parts} == before
    page = (tmp_path / "out/report.md").read_text()
    assert "<b>" not in page.replace("\\<b>", "")
    assert list((tmp_path / "out").glob("curves-*.svg"))


def test_a_link_in_the_place_of_the_report_is_not_followed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    private = run.parent / "private"
    private.mkdir()
    (private / "holiday.png").write_bytes(b"mine")
    (run / "report").symlink_to(private)
    assert f"{run}/report: is not a folder but a link" in refusal(capsys, "report", run)
    assert [path.name for path in private.iterdir()] == ["holiday.png"]


def test_links_in_an_output_folder_are_replaced(tmp_path: Path) -> None:
    run = make_run(tmp_path / "made", lean=True)
    private, output = tmp_path / "private", tmp_path / "out"
    private.mkdir()
    output.mkdir()
    for name in ("0000.jpg", "ranking.png", "report.md", "report.json"):
        (private / name).write_bytes(b"mine")
    (output / "pictures").symlink_to(private)
    for name in ("ranking.png", "report.md", "report.json"):
        (output / name).symlink_to(private / name)
    assert main(["report", str(run), "--output", str(output)]) == 0
    assert {path.read_bytes() for path in private.iterdir()} == {b"mine"}
    assert len(list(private.iterdir())) == 4
    assert not any(path.is_symlink() for path in output.rglob("*"))
    assert list((output / "pictures").glob("*.jpg"))


def test_pictures_of_others_in_the_output_folder_stay(tmp_path: Path) -> None:
    run = make_run(tmp_path / "made", lean=True, pictures=False)
    output = tmp_path / "out"
    (output / "pictures").mkdir(parents=True)
    (output / "thesis.png").write_bytes(b"mine")
    (output / "pictures/holiday.jpg").write_bytes(b"mine")
    (output / "holiday").mkdir()
    (output / "holiday/report.json").write_bytes(b"mine")
    assert main(["report", str(run), "--output", str(output)]) == 0
    assert (output / "thesis.png").read_bytes() == (output / "pictures/holiday.jpg").read_bytes() == b"mine"


def test_an_image_that_is_a_pipe_or_a_device_is_not_opened(tmp_path: Path) -> None:
    run = make_run(tmp_path, lean=True)
    first, second = sorted((tmp_path / "data").rglob("*.png"))[:2]
    _fifo(first)
    _device(second)
    assert main(["report", str(run)]) == 0


@pytest.mark.parametrize("name", ["runs", "assets", "index.html", "methods"])
def test_links_in_an_old_site_are_not_followed(tmp_path: Path, name: str) -> None:
    leaderboard = make_leaderboard(tmp_path / "leaderboard", {})
    words = ["site", "--output", str(tmp_path / "site"), "--leaderboard", str(leaderboard), "--runs", str(leaderboard)]
    assert main(words) == 0
    private = tmp_path / "private"
    private.mkdir()
    (private / "thesis.tex").write_text("mine")
    old = tmp_path / "site" / name
    old.unlink() if old.is_file() else shutil.rmtree(old)
    old.symlink_to(private if name != "index.html" else private / "thesis.tex")
    assert main(words) == 0
    assert (private / "thesis.tex").read_text() == "mine"
    assert len(list(private.iterdir())) == 1
    assert not any(path.is_symlink() for path in (tmp_path / "site").rglob("*"))


def test_a_site_that_is_a_link_is_replaced(tmp_path: Path) -> None:
    leaderboard = make_leaderboard(tmp_path / "leaderboard", {})
    private = tmp_path / "private"
    private.mkdir()
    (private / ".usvi-site").touch()
    (private / "thesis.tex").write_text("mine")
    (tmp_path / "site").symlink_to(private)
    words = ["site", "--output", str(tmp_path / "site"), "--leaderboard", str(leaderboard), "--runs", str(leaderboard)]
    assert main(words) == 0
    assert (private / "thesis.tex").read_text() == "mine"
    assert (tmp_path / "site/index.html").is_file()


def _replaced(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    with np.load(run / "evaluation.npz") as found:
        arrays = dict(found)
    change(arrays)
    write_sealed(run / "evaluation.npz", lambda file: np.savez(file, **arrays))


def _deep(arrays: dict[str, Any]) -> None:
    for name in ("order", "scores", "matches"):
        arrays[name] = np.repeat(arrays[name], 300, axis=1)


def _wide(arrays: dict[str, Any]) -> None:
    for name in ("after", "before", "identities", "infrared", "sample_cameras", "sample_paths"):
        arrays[name] = np.repeat(arrays[name], 300, axis=0)


@pytest.mark.parametrize(("change", "reason"), [(_deep, "more than 10 images"), (_wide, "more images than a sample")])
def test_arrays_larger_than_a_run_writes_are_refused(
    run: Path, change: Callable[[dict[str, Any]], object], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _replaced(run, change)
    assert reason in refusal(capsys, "report", run)


def test_many_losses_are_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = {**epoch_line(0), "losses": {f"loss{i}": 1.0 for i in range(101)}}
    Journal(run / "journal.jsonl").replace([line])
    assert "losses: 101, at most 100 can be drawn" in refusal(capsys, "report", run)


def test_a_link_in_a_tree_of_others_is_not_copied(tmp_path: Path) -> None:
    run = make_run(tmp_path, lean=True)
    (found,) = find_recorded_runs([run])
    assert found.evaluation is not None
    assert may_be_shown([found], asked=False)[0]
    image = found.evaluation.query.root / found.evaluation.query.paths[0]
    image.rename(tmp_path / "private.png")
    image.symlink_to(tmp_path / "private.png")
    shown, why = may_be_shown([found], asked=False)
    assert not shown
    assert "is a link out of its folder of synthetic people" in why
