"""Progress of long work: the code that reports it, and what a terminal and a file show."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from usvi_bench.components.clustering import symmetric_search
from usvi_bench.components.clustering.neighbours import blocked_search
from usvi_bench.core.progress import SEARCH, report_progress, show_progress
from usvi_bench.datasets import cache, fingerprint
from usvi_bench.datasets.fingerprint import content_hash
from usvi_bench.datasets.tree import table_of
from usvi_bench.engine import work_bars
from usvi_bench.engine.images import embed
from usvi_bench.engine.live_bars import LiveBars
from usvi_bench.engine.load_config import load_config
from usvi_bench.engine.work_bars import WorkBars
from usvi_bench.protocols import metrics
from usvi_bench.protocols.masks import RetrievalMasks
from usvi_bench.synthetic import parse, tree

RENDERING = "rendering synthetic people (sysu, tiny)"


def read(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(fingerprint, "REPORTED", 2)
    for number in range(5):
        (folder / f"{number}.txt").touch()
    content_hash(folder, [], [f"{number}.txt" for number in range(5)], keep=False)


def render(folder: Path, patch: pytest.MonkeyPatch) -> None:
    whole = tree.plan
    patch.setattr(tree, "plan", lambda *how: dataclasses.replace(planned := whole(*how), shots=planned.shots[:5]))
    tree.ensure("sysu", parse("synthetic:size=tiny"), folder, workers=1)


def decode(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(cache, "BLOCK", 2)
    for number in range(5):
        Image.new("RGB", (8, 8)).save(folder / f"{number}.png")
    table = table_of([(f"{number}.png", number, 1) for number in range(5)], "visible", folder)
    cache.decoded(table, 4, 4, "bicubic", "mark", folder, part="test")


def embed_five(folder: Path, patch: pytest.MonkeyPatch) -> None:
    config = load_config("pgm", "sysu_all", profile="synthetic_sysu", settings={"encoder.width": 8}, schedule="quick")
    images = torch.zeros(5, 32, 16, 3, dtype=torch.uint8)
    embed(config.new_encoder(0), images, "infrared", 2, torch.device("cpu"), part="training, teacher")


def search_blocks(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("usvi_bench.components.clustering.neighbours._BLOCK_ENTRIES", 10)
    blocked_search(torch.eye(5), 2)


def search_pairs(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(symmetric_search, "BLOCK", 16)
    symmetric_search.symmetric_search(np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32), 3)


def score(folder: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(metrics, "ROWS", 2)
    patch.setattr(metrics, "BLOCK", 1)
    metrics.score_galleries(
        torch.eye(5), torch.eye(5), [np.arange(5)], lambda rows, _: RetrievalMasks(np.eye(5, dtype=bool)[rows])
    )


@pytest.mark.parametrize(
    ("work", "name", "total"),
    [
        (read, fingerprint.WORK, 5),
        (render, RENDERING, 5),
        (decode, "decoding visible images (test)", 5),
        (embed_five, "embedding infrared images (training, teacher)", 5),
        (search_blocks, SEARCH, 5),
        (search_pairs, SEARCH, 40 * 40 // 2),
        (score, "scoring queries", 5),
    ],
)
def test_long_work_reports_from_nothing_to_all(
    work: Callable[[Path, pytest.MonkeyPatch], None],
    name: str,
    total: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    with show_progress(lambda work, done, total: found[work].append((done, total))):
        work(tmp_path, monkeypatch)
    assert list(found) == [name]
    done = [each for each, _ in found[name]]
    assert {whole for _, whole in found[name]} == {total}
    assert done[0] == 0
    assert done[-1] == total
    assert len(done) > 2 or work is render  # whose smallest batch is larger
    assert done == sorted(done)
    assert not report_progress(name, 0, 1), "nothing is shown outside the block"


def bars(terminal: bool, silent: bool = False) -> tuple[WorkBars, LiveBars, StringIO]:
    text = StringIO()
    console = Console(file=text, force_terminal=terminal, width=120, _environ={})
    drawn = LiveBars(console)
    return WorkBars(console, drawn if terminal else None, lambda: silent), drawn, text


def words(drawn: LiveBars) -> list[str]:
    return [task.fields["words"].head for task in drawn.tasks]


def test_a_terminal_shows_a_bar_and_removes_it() -> None:
    shown, drawn, text = bars(terminal=True)
    shown("decoding visible images", 0, 10)
    (bar,) = drawn.tasks
    assert not bar.started, "the bar moves to and fro until the first image is decoded"
    shown("decoding visible images", 4, 10)
    assert (bar.started, bar.completed) == (True, 4)
    shown("decoding visible images", 10, 10)
    assert not drawn.tasks
    assert "decoding visible images" in text.getvalue()


def test_idle_work_is_shown_while_nothing_else_is() -> None:
    shown, drawn, _ = bars(terminal=True)
    with shown.idle("scoring"):
        assert words(drawn) == ["scoring"]
        assert drawn.tasks[0].total is None
        shown(SEARCH, 0, 10)
        assert words(drawn) == [SEARCH]
        shown(SEARCH, 10, 10)
        assert words(drawn) == ["scoring"]
        with shown.idle("saving"):
            assert words(drawn) == ["saving"]
        assert words(drawn) == ["scoring"]
    assert words(drawn) == []


def test_all_bars_are_removed_after_an_error() -> None:
    shown, drawn, _ = bars(terminal=True)
    shown.set_idle("scoring")
    shown(SEARCH, 0, 10)
    shown("embedding", 5, 10)
    shown.close()
    assert not drawn.tasks
    shown(SEARCH, 0, 10)
    shown(SEARCH, 10, 10)
    assert not drawn.tasks, "idle work is forgotten too"


def test_a_file_gets_a_line_for_long_work_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for least, silent, lines in ((1e9, False, 0), (0.0, False, 1), (0.0, True, 0)):
        monkeypatch.setattr(work_bars, "LONG", least)
        shown, _, text = bars(terminal=False, silent=silent)
        for done in (0, 5, 10):
            shown(RENDERING, done, 10)
        assert text.getvalue().count(f"{RENDERING}: 0.0 s\n") == lines
        assert len(text.getvalue().splitlines()) == lines
