"""What a resumption finds: nothing of these settings, unfinished trainings of others, a damaged end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from usvi_bench import run
from usvi_bench.core.errors import DamagedFileError, UsageError
from usvi_bench.core.files import locked
from usvi_bench.engine.training import StageTraining

SMALL = {
    **{"data.height": 64, "data.width": 32, "encoder.width": 8, "engine.threads": 1, "method.k1": 6},
    **{"train.epochs": 1, "train.iterations": 1},
}


@pytest.fixture
def stage(tmp_path: Path, tiny_people: dict[str, Path]) -> Path:
    """The folder of a training, without the file that marks its end."""
    train(tmp_path, tiny_people)
    (folder,) = (tmp_path / "runs" / "stages").glob("cluster*")
    (folder / "finished.json").unlink()
    return folder


def train(tmp_path: Path, people: dict[str, Path], settings: dict[str, Any] | None = None, **options: Any) -> None:
    run(
        "cluster_contrast",
        "sysu_all",
        people["sysu"],
        settings={**SMALL, **(settings or {})},
        schedule="quick",
        device="cpu",
        output=tmp_path / "runs",
        **options,
    )


def test_a_resumption_with_other_settings_names_the_unfinished_training(
    stage: Path, tmp_path: Path, tiny_people: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    train(tmp_path, tiny_people, {"train.lr": 1e-4}, resume=True)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("--resume: ")]
    assert "no unfinished training has these settings, so it starts anew" in line
    assert f"Unfinished: {stage} (train.lr=0.00035)" in line
    train(tmp_path, tiny_people, resume=True)
    out = capsys.readouterr().out
    assert "resuming stage" in out
    assert "--resume: " not in out
    train(tmp_path, tiny_people, {"train.lr": 2e-4}, resume=True)
    assert "--resume: " not in capsys.readouterr().out, "nothing is unfinished"


def test_a_training_of_another_process_is_not_offered_for_resumption(
    stage: Path, tmp_path: Path, tiny_people: dict[str, Path]
) -> None:
    with pytest.raises(UsageError, match="holds an unfinished training; continue it with --resume"):
        train(tmp_path, tiny_people, verbose=False)
    with (
        locked(stage.with_name(f".{stage.name}.lock"), wait=False),
        pytest.raises(UsageError, match="another process is training"),
    ):
        train(tmp_path, tiny_people, verbose=False)


def test_a_folder_in_place_of_the_end_is_named_with_the_remedy(
    stage: Path, tmp_path: Path, tiny_people: dict[str, Path]
) -> None:
    (stage / "finished.json").mkdir()
    with pytest.raises(
        DamagedFileError, match=r"finished\.json cannot be read .*; train the stage again with --overwrite"
    ):
        train(tmp_path, tiny_people, verbose=False)
    train(tmp_path, tiny_people, overwrite=True, verbose=False)
    assert (stage / "finished.json").is_file()


def test_a_method_that_exits_ends_with_its_place(
    outside: Path, tiny_people: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (outside / "mine.py").write_text(
        "import sys\n"
        "from usvi_bench.core.registry import METHODS\n"
        "from usvi_bench.methods.cluster_contrast import ClusterContrast\n"
        "@METHODS.register('mine')\n"
        "class Mine(ClusterContrast):\n"
        "    summary = 'mine'\n"
        "    def loss(self, batch, progress):\n"
        "        sys.exit(3)\n"
    )
    with pytest.raises(UsageError, match=r"mine\.py, line 8: SystemExit \(3\)"):
        run(
            "mine",
            "sysu_all",
            tiny_people["sysu"],
            settings=SMALL,
            schedule="quick",
            device="cpu",
            imports=["mine.py"],
            output=outside / "runs",
            verbose=False,
        )


def test_an_interrupted_overwrite_leaves_no_stage_of_the_former_run(
    tmp_path: Path, tiny_people: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second stage that was trained from the former first one must not be reused."""
    options = {"settings": SMALL, "schedule": "quick", "device": "cpu", "output": tmp_path / "runs", "verbose": False}
    run("pgm", "sysu_all", tiny_people["sysu"], **options)
    assert len(list(tmp_path.glob("runs/stages/*/finished.json"))) == 2

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(StageTraining, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run("pgm", "sysu_all", tiny_people["sysu"], overwrite=True, **options)
    assert not list(tmp_path.glob("runs/stages/*/finished.json"))
