"""The examples of ``docs/tracking.md`` and of the first models in ``docs/running.md`` work as they are written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from usvi_bench.engine import trackers
from usvi_bench.engine.calibration import LONGEST, MOST_ROWS
from usvi_bench.engine.work_bars import LONG

DOCS = Path(__file__).resolve().parent.parent / "docs"


def run_block(page: str, call: str, people: Path) -> None:
    """Run the block of a page that has a call, on people that are already rendered."""
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    (block,) = [block for block in blocks if call in block]
    assert block.count('"synthetic:size=tiny"') == 1
    exec(compile(block.replace('"synthetic:size=tiny"', repr(str(people))), page, "exec"), {})


def test_the_first_models_are_opened(
    tmp_path: Path, tiny_people: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run_block("running.md", "open_model", tiny_people["sysu"])
    first, second = capsys.readouterr().out.splitlines()[-2:]
    assert re.fullmatch(r"fold1-2-pgm-epoch_0002\.pt: weights of small .*", first)
    assert re.fullmatch(r"small16\.safetensors: weights of small .*", second)


def test_the_example_of_tracking(
    tmp_path: Path, tiny_people: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        import tensorboard  # noqa: F401
    except ImportError:  # the checks do not install the extra; the block then runs with a tracker that keeps nothing
        monkeypatch.setitem(trackers.TRACKERS, "tensorboard", Nothing)
    run_block("tracking.md", "track=", tiny_people["sysu"])
    text = capsys.readouterr().out
    assert "tracking with tensorboard: runs/tracking\n" in text
    assert re.search(r"^final mAP 0\.\d{3}$", text, re.MULTILINE)


class Nothing(trackers.Tracker):
    """Tracker that keeps nothing."""

    def __init__(self, folder, name, settings) -> None: ...

    def log(self, step, values) -> None: ...

    def close(self) -> None: ...


def test_the_page_has_the_trackers_and_limits_of_the_code() -> None:
    text = (DOCS / "tracking.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == list(trackers.TRACKERS)
    assert f"{MOST_ROWS:,} images" in text
    assert f"more than {LONGEST:.0f} seconds" in text
    assert f"of {LONG:.0f} seconds or more" in text
