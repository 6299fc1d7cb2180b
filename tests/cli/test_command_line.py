"""Command line: output, files, and messages for mistakes."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from usvi_bench.cli.main import main
from usvi_bench.cli.train import experiment_of, parser
from usvi_bench.components.encoder.resnet_networks import SmallConfig
from usvi_bench.components.encoder.two_stream import build_encoder
from usvi_bench.core import options
from usvi_bench.core.record import read_record
from usvi_bench.core.sealed import write_sealed
from usvi_bench.engine.plan import StagePlan, clear_stage, hold_stage
from usvi_bench.engine.training import StageTraining
from usvi_bench.leaderboard.sidecar_faults import sidecar_faults
from usvi_bench.protocols.query_file import load_query_scores
from usvi_bench.protocols.sidecar import ROUNDING, person_numbers, read_sidecar, sidecar_path
from usvi_bench.reports.site.runs import command_of

ROOT = Path(__file__).resolve().parents[2]
QUICK = [
    "train.epochs=2",
    "train.iterations=3",
    "train.visible_clusters=2",
    "train.infrared_clusters=2",
    "method.k1=6",
    "method.eps=0.5",
    "encoder.width=8",
    "engine.threads=1",
]
"""Settings under which a training on the tiny people takes seconds."""


def command(
    output: Path, data: str, *more: str, method: str = "cluster_contrast", protocol: str = "sysu_all"
) -> list[str]:
    settings = [item for item in QUICK if method not in ("untrained", "supervised") or not item.startswith("method.")]
    base = ["--method", method, "--protocol", protocol, "--data", data, "--output", str(output)]
    return [*base, "--no-report", "--set", *settings, *more]


def the_record(output: Path, protocol: str) -> Path:
    (path,) = (output / protocol).glob("*/record.json")
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_people: dict[str, Path]) -> Path:
    """Return the output of one quick run of the baseline on sysu_all; tests must not change it."""
    output = tmp_path_factory.mktemp("runs")
    assert main([word for word in command(output, str(tiny_people["sysu"])) if word != "--no-report"]) == 0
    return output


def test_a_run_directory_holds_everything(finished: Path) -> None:
    folder = the_record(finished, "sysu_all").parent
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "config.json",
        "journal.jsonl",
        "record.json",
        "record.npz",
        "checkpoints",
        "report",
        "evaluation.npz",
        "queries.npz",
    }
    assert len(list((folder / "checkpoints").iterdir())) == 2
    assert {path.suffix for path in (folder / "report").iterdir()} == {
        *(".html", ".md", ".json", ".csv", ".pdf", ".png", ".svg", "")
    }
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [0, 1]
    assert set(lines[0]["losses"]) == {"visible", "infrared"}


def test_the_record_is_complete_and_traceable(finished: Path, tiny_people: dict[str, Path]) -> None:
    record = read_record(the_record(finished, "sysu_all"))
    result = record.result
    assert record.missing_trials == {}
    assert len(record.scores()) == 10
    assert result.dataset["synthetic"] is not None
    assert result.dataset["fingerprint"].startswith("synthetic-")
    assert str(tiny_people["sysu"]) not in json.dumps(result.config)
    assert result.config["method"]["eps"] == 0.5
    assert result.start_weights == {"source": "random", "sha256": None}
    assert 0 < result.chance["mAP"] < 1
    assert record.provenance["threads"] == 1
    assert record.provenance["global_batch"] == 16


def test_the_results_of_each_query_are_beside_the_record(finished: Path) -> None:
    path = the_record(finished, "sysu_all")
    record = read_record(path)
    note = record.result.queries
    assert note is not None
    assert sidecar_faults(path, record) == []  # also that the galleries are those of the planned people
    (small,), (full,) = (
        folds.values()
        for folds in (
            read_sidecar(sidecar_path(path), note, record.result.trials),
            load_query_scores(path.with_name("queries.npz")),
        )
    )
    assert np.array_equal(small.first_match_rank, full.first_match_rank)
    assert np.allclose(small.average_precision, full.average_precision, rtol=0, atol=ROUNDING, equal_nan=True)
    assert np.array_equal(small.identities, person_numbers(full))


def test_the_command_on_a_run_s_page_repeats_it(finished: Path, tiny_people: dict[str, Path]) -> None:
    """The name of a run's folder contains a hash of settings, data, starting weights and trainings."""
    path = the_record(finished, "sysu_all")
    python, script, *words = shlex.split(command_of(read_record(path)))
    assert (python, script) == ("python", "run.py")
    assert {"--data", "--weights", "--set", "method.eps=0.5"} <= set(words)
    again = experiment_of(parser().parse_args(words)).prepare()
    assert again.folder.name == path.parent.name


def test_a_second_protocol_reuses_the_training(
    finished: Path, tiny_people: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished = shutil.copytree(finished, tmp_path / "copy")
    before = {path: path.stat().st_mtime_ns for path in (finished / "stages").rglob("*.pt")}
    assert main(command(finished, str(tiny_people["sysu"]), protocol="sysu_indoor")) == 0
    out = capsys.readouterr().out
    assert "reusing finished stage 'cluster_contrast'" in out
    assert {path: path.stat().st_mtime_ns for path in (finished / "stages").rglob("*.pt")} == before
    (finished_indoor,) = (finished / "sysu_indoor").glob("*/record.json")
    record = read_record(finished_indoor)
    assert record.result.protocol == "sysu_indoor"
    assert out.count(record.result.dataset["description"]) == 1
    run = finished_indoor.parent
    head, figures, other, comparison, site = out.splitlines()[-5:]
    assert head == "next (the report of this run, another method, a comparison of all runs, a site of all runs):"
    assert figures == f"  {options.command('report', str(run))}"
    assert other.startswith(f"  {options.command('--method', 'pgm', '--protocol', 'sysu_indoor')} --data ")
    assert "method." not in other
    assert comparison == f"  {options.command('report', str(run.parent), '--output', 'comparison')}"
    assert site == f"  {options.command('site', '--runs', str(finished))}"


@pytest.mark.parametrize("method", ["untrained", "supervised"])
def test_the_references_run_on_regdb_with_a_model_for_each_fold(
    method: str, tmp_path: Path, tiny_people: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(tmp_path, str(tiny_people["regdb"]), method=method, protocol="regdb_i2v")) == 0
    record = read_record(the_record(tmp_path, "regdb_i2v"))
    assert [score.fold for score in record.scores()] == [1, 2]
    assert record.result.uses_identities == (method == "supervised")
    assert "mINP" in capsys.readouterr().out


def test_one_fold_alone_is_an_incomplete_record(tmp_path: Path, tiny_people: dict[str, Path]) -> None:
    data = str(tiny_people["regdb"])
    assert main(command(tmp_path, data, "data.folds=2", method="untrained", protocol="regdb_v2i")) == 0
    record = read_record(the_record(tmp_path, "regdb_v2i"))
    assert record.missing_trials == {1: 1}


def test_sclhm_shows_teacher_and_student_and_oracle_apart(tmp_path: Path, tiny_people: dict[str, Path]) -> None:
    data = str(tiny_people["sysu"])
    assert main(command(tmp_path, data, "evaluate_every=1", method="sclhm", protocol="sysu_indoor")) == 0
    record = read_record(the_record(tmp_path, "sysu_indoor"))
    kinds = {(score.model, score.selection) for score in record.result.scores}
    assert {("teacher", "last"), ("student", "last")} <= kinds
    assert ("teacher", "oracle") in kinds or ("student", "oracle") in kinds
    assert record.result.headline["model"] == "teacher"
    assert record.result.headline["selection"] == "last"
    journal = the_record(tmp_path, "sysu_indoor").parent / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [line["stage"] for line in lines if line["kind"] == "epoch"] == ["cluster_contrast"] * 2 + ["sclhm"] * 2
    assert [line["epoch"] for line in lines if line["kind"] == "scores"] == [0, 0, 1, 1]
    assert main(["report", str(journal.parent)]) == 0
    assert (journal.parent / "report" / "scores.png").exists()


def test_multi_shot_galleries_are_reached_by_set(tmp_path: Path, tiny_people: dict[str, Path]) -> None:
    data = str(tiny_people["sysu"])
    assert main(command(tmp_path, data, "protocol.shots=10", method="untrained")) == 0
    assert read_record(the_record(tmp_path, "sysu_all")).result.headline["shots"] == 10


def test_the_record_has_the_knobs_of_the_people(tmp_path: Path, tiny_people: dict[str, Path]) -> None:
    turned = tmp_path / "turned"
    shutil.copytree(tiny_people["sysu"], turned)
    note = json.loads((turned / "synthetic.json").read_text())
    (turned / "synthetic.json").write_text(json.dumps({**note, "spec": {**note["spec"], "mismatch": 0.5}}))
    for people, knobs in ((tiny_people["sysu"], {}), (turned, {"mismatch": 0.5})):
        assert main(command(tmp_path / str(len(knobs)), str(people), method="untrained")) == 0
        assert read_record(the_record(tmp_path / str(len(knobs)), "sysu_all")).result.dataset["knobs"] == knobs


def test_the_record_says_that_the_setting_is_the_paper_s(tmp_path: Path, tiny_people: dict[str, Path]) -> None:
    arguments = command(tmp_path, str(tiny_people["sysu"]), "train.epochs=1", "method.eps=0.4", method="pgm")
    assert main([*arguments, "--setting", "paper"]) == 0
    result = read_record(the_record(tmp_path, "sysu_all")).result
    assert result.setting == "paper"
    assert result.config["method"]["momentum"] == 0.2
    assert result.config["encoder"]["bn_groups"] == 4


@pytest.mark.parametrize("setting", ["train.precision=bf16", "encoder.bn_groups=2", "encoder.non_local=true"])
def test_precision_and_encoder_options_train(setting: str, tmp_path: Path, tiny_people: dict[str, Path]) -> None:
    assert main(command(tmp_path, str(tiny_people["sysu"]), setting, "train.epochs=1")) == 0
    assert read_record(the_record(tmp_path, "sysu_all")).missing_trials == {}


def test_listing_names_everything_in_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    text = capsys.readouterr().out
    for name in ("cluster_contrast", "sclhm", "supervised", "untrained", "sysu_all", "regdb_i2v", "sysu", "synthetic"):
        assert sum(line.split()[:1] == [name] for line in text.splitlines()) == 1


def test_check_data_counts_and_names_the_data_set(
    tiny_people: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check-data", str(tiny_people["sysu"])]) == 0
    assert "SYSU" in capsys.readouterr().out


# ---- mistakes: exit status 2, at most three lines, nothing written -------------------------------------------


def mistake(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert len(captured.err.strip().splitlines()) <= 3
    assert "Traceback" not in captured.err
    return captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "schlm", "--protocol", "sysu_all"], "unknown method 'schlm': did you mean sclhm"),
        (["--method", "sclhm", "--protocol", "sysu_al"], "unknown protocol 'sysu_al': did you mean sysu_all"),
        (["--method", "sclhm", "--protocol", "sysu_all", "--setting", "papr"], "unknown setting 'papr': did you mean"),
        (["--method", "untrained", "--protocol", "sysu_all", "--setting", "paper"], "methods that have one: adca"),
        (
            ["--method", "sclhm", "--protocol", "sysu_all", "--schedule", "quik"],
            "unknown schedule 'quik': did you mean quick",
        ),
        (["--method", "sclhm"], "--protocol is missing"),
        (["--protocol", "sysu_all"], "--method is missing"),
        (["--methd", "sclhm"], "did you mean --method"),
        (["--method", "sclhm", "--epochs", "3"], "did you mean --set train.epochs=3?"),
        (["--method", "sclhm", "--protocol", "sysu_all", "--seed", "one"], "invalid int value: 'one'"),
        (["--method", "sclhm", "--protocol", "sysu_all", "--set", "method.epss=1"], "did you mean method.eps"),
        (["--method", "sclhm", "--protocol", "sysu_all", "--set", "train.epochs=x"], "expected a whole number"),
        (["--method", "sclhm", "--protocol", "sysu_all", "--data", "/nowhere"], "/nowhere"),
        (["--method", "sclhm", "--protocol", "sysu_all", "--data", "synthetic:sise=small"], "did you mean size"),
        (["--method", "sclhm", "--protocol", "sysu_all", "--resume", "--overwrite"], "give one of them"),
        (["--check-data", "/nowhere"], "/nowhere"),
    ],
)
def test_bad_usage(arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = mistake([*arguments, "--output", str(tmp_path / "out")], capsys)
    assert message in error
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there(
    tiny_people: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*command(tmp_path / "out", str(tiny_people["sysu"])), "--device", "cuda"]
    assert "--device cpu" in mistake(arguments, capsys)


@pytest.mark.parametrize("output", ["x" * 5000, "a\0b"])
def test_an_output_that_no_folder_can_have_is_refused(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = mistake(command(Path(output), "synthetic:size=tiny"), capsys)
    assert ": --output 'x" in error if output[0] == "x" else r": --output 'a\x00b': embedded null byte" in error
    assert error.endswith("; choose another --output\n")
    assert len(error) < 400


def test_output_below_a_file(tiny_people: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("kept")
    error = mistake(command(tmp_path / "file" / "runs", str(tiny_people["sysu"])), capsys)
    assert "is a file, not a folder" in error
    assert (tmp_path / "file").read_text() == "kept"


def test_the_other_data_set(tiny_people: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "RegDB" in mistake(command(tmp_path / "out", str(tiny_people["regdb"])), capsys)


def test_a_fold_that_does_not_exist(
    tiny_people: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = command(tmp_path / "out", str(tiny_people["sysu"]), "data.folds=3")
    assert "data.folds=3" in mistake(arguments, capsys)


@pytest.mark.parametrize(
    ("encoder", "file"), [("resnet50", "resnet50-19c8e357.pth"), ("vit_s16", "timm's, DINO's or DeiT's")]
)
def test_real_data_needs_starting_weights(
    encoder: str, file: str, tiny_people: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = tmp_path / "real"
    shutil.copytree(tiny_people["sysu"], real)
    (real / "synthetic.json").unlink()
    settings = ("data.check_counts=false", f"encoder.name={encoder}", "data.width=128")
    arguments = command(tmp_path / "out", str(real), *settings, method="untrained")
    error = mistake([word for word in arguments if word != "encoder.width=8"], capsys)
    assert file in error
    assert "'random'" in error


def test_weights_of_another_network(
    tiny_people: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wide.pth"
    torch.save(build_encoder(SmallConfig(width=16), 0).state_dict(), path)
    arguments = command(tmp_path / "out", str(tiny_people["sysu"]), method="untrained")
    assert "do not fit" in mistake([*arguments, "--weights", str(path)], capsys)
    assert "no such file" in mistake([*arguments, "--weights", "nowhere.pth"], capsys)


def test_a_corrupt_image_is_named(
    tiny_people: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_people["sysu"], broken)
    victim = sorted((broken / "cam1").rglob("*.jpg"))[0]
    victim.write_bytes(victim.read_bytes()[:200])
    error = mistake([*command(tmp_path / "out", str(broken)), "--set", "data.check_counts=false"], capsys)
    assert victim.name in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("method.k1=9999", "fewer than k1=9999"),
        ("method.eps=0.0001", "raise --set method.eps if most images are outliers"),
        ("train.visible_clusters=500", "train.visible_clusters"),
    ],
)
def test_clusters_that_cannot_be_trained_on(
    setting: str, message: str, tiny_people: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    assert message in mistake(command(output, str(tiny_people["sysu"]), setting), capsys)
    assert [path for path in output.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_more_neighbours_than_images_are_refused_before_any_work(
    tiny_people: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for method, setting, message in (
        ("nulc", "neighbours=70", "infrared: 66 images are fewer than neighbours=70; lower --set method.neighbours"),
        ("mmm", "joint_k1=999", "images of both modalities are fewer than joint_k1=999; lower --set method.joint_k1"),
    ):
        words = command(tmp_path / "out", str(tiny_people["sysu"]), f"method.{setting}", method=method)
        assert message in mistake(words, capsys)
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_a_checkpoint_of_another_fold_or_method_is_refused(
    finished: Path, tiny_people: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "runs"
    shutil.copytree(finished, output)
    (stage,) = (path for path in (output / "stages").iterdir() if path.is_dir())
    path = max(stage.glob("epoch_*.pt"))
    content = torch.load(path, weights_only=True)
    for name, value in (("fold", 7), ("method", "hil"), ("data", "elsewhere")):
        changed = {**content, name: value}
        write_sealed(path, lambda file, changed=changed: torch.save(changed, file))
        assert f"{name}={value}" in mistake(command(output, str(tiny_people["sysu"])), capsys)


def test_a_damaged_first_stage_is_refused(
    finished: Path, tiny_people: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "runs"
    shutil.copytree(finished, output)
    (stage,) = (path for path in (output / "stages").iterdir() if path.is_dir())
    path = max(stage.glob("epoch_*.pt"))
    changed = {**torch.load(path, weights_only=True), "fold": 7}
    write_sealed(path, lambda file: torch.save(changed, file))
    assert "fold=7" in mistake(command(output, str(tiny_people["sysu"]), method="sclhm"), capsys)
    path.write_bytes(b"torn")
    assert "--overwrite" in mistake(command(output, str(tiny_people["sysu"]), method="sclhm"), capsys)
    for checkpoint in stage.glob("epoch_*.pt"):
        checkpoint.unlink()
    assert "--overwrite" in mistake(command(output, str(tiny_people["sysu"]), method="sclhm"), capsys)


def test_settings_that_matter_only_for_scoring_have_a_folder_of_their_own(
    tmp_path: Path, tiny_people: dict[str, Path]
) -> None:
    for setting in ("data.height=128", "data.height=64"):
        assert main(command(tmp_path, str(tiny_people["sysu"]), setting, method="untrained")) == 0
    assert len(list((tmp_path / "sysu_all").iterdir())) == 2


def test_an_unfinished_training_is_continued_or_discarded_only_if_asked(
    finished: Path, tiny_people: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "runs"
    shutil.copytree(finished, output)
    (stage,) = (path for path in (output / "stages").iterdir() if path.is_dir())
    (stage / "finished.json").unlink()
    arguments = command(output, str(tiny_people["sysu"]))
    error = mistake(arguments, capsys)
    assert "--resume" in error
    assert "--overwrite" in error
    expected = read_record(the_record(output, "sysu_all")).result
    for flag in ("--resume", "--overwrite"):
        assert main([*arguments, flag]) == 0
        assert read_record(the_record(output, "sysu_all")).result == expected


def test_a_training_of_another_process_is_not_called_unfinished(
    finished: Path, tiny_people: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "runs"
    shutil.copytree(finished, output)
    (stage,) = (path for path in (output / "stages").iterdir() if path.is_dir())
    (stage / "finished.json").unlink()
    with (output / "stages" / f".{stage.name}.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        error = mistake(command(output, str(tiny_people["sysu"])), capsys)
    assert f"another process is training {stage}" in error
    assert "--resume" not in error


def test_a_training_that_begins_anew_is_held_from_the_cleaning_on(
    finished: Path, tiny_people: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "runs"
    shutil.copytree(finished, output)
    events: list[str] = []

    @contextmanager
    def held(plan: StagePlan, wait: bool = False) -> Iterator[None]:
        events.append("hold")
        with hold_stage(plan, wait):
            yield
        events.append("let go")

    def cleaned(plan: StagePlan) -> None:
        events.append("clean")
        clear_stage(plan)

    def trained(training: StageTraining) -> None:
        events.append("train")
        train(training)

    train = StageTraining.run
    monkeypatch.setattr(StageTraining, "run", trained)
    monkeypatch.setattr("usvi_bench.engine.stages.hold_stage", held)
    monkeypatch.setattr("usvi_bench.engine.stages.clear_stage", cleaned)
    assert main([*command(output, str(tiny_people["sysu"])), "--overwrite"]) == 0
    assert events[-4:] == ["hold", "clean", "train", "let go"]


def test_scoring_leaves_global_random_state_alone(finished: Path, tiny_people: dict[str, Path]) -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()
    assert main(command(finished, str(tiny_people["sysu"]))) == 0
    assert torch.equal(torch_state, torch.get_rng_state())
    assert all(np.array_equal(a, b) for a, b in zip(numpy_state, np.random.get_state(), strict=True))


def test_an_unknown_command_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pretrian"]) == 2
    assert "pretrain" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["report runs", "site", "pretrain"])
def test_a_misspelt_option_of_a_command_gets_a_suggestion(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--ouptut=x"]) == 2
    assert "did you mean --out" in capsys.readouterr().err


def test_a_command_reads_its_own_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["pretrain", "--help"])
    assert f"usage: {options.program()} pretrain" in capsys.readouterr().out


def test_a_closed_output_pipe_is_no_error() -> None:
    command = f"{sys.executable} run.py --list | head -n 1"
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "methods\n"
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["stages", "sysu_all"])
def test_a_file_in_place_of_a_folder_is_found_before_the_training(
    name: str, tiny_people: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).touch()
    assert main(command(tmp_path, str(tiny_people["sysu"]))) == 2
    out, error = capsys.readouterr()
    assert f"{tmp_path / name} is a file, not a folder; choose another --output" in error
    assert "training" not in out


def test_an_output_folder_without_permission_is_found_before_the_training(
    tiny_people: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)  # root may write everywhere
    assert main(command(tmp_path / "out", str(tiny_people["sysu"]))) == 2
    assert f"no permission to write in {tmp_path}; choose another --output" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "hint"), [("grid.toml", "did you mean {}/grids.toml?"), ("runs", "check the path")])
def test_a_missing_path_is_not_mistaken_for_a_hidden_file_or_another_kind(name: str, hint: str, tmp_path: Path) -> None:
    for other in (".runsrc", ".runs", "grids.toml", "grids"):
        (tmp_path / other).touch()
    assert hint.format(tmp_path) in options.explain_missing_path(tmp_path / name)


def test_a_file_in_the_place_of_the_folder_of_a_report_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").touch()
    assert main(["report", str(tmp_path / "absent"), "--output", str(tmp_path / "out")]) == 2
    assert "out is a file, not a folder; choose another --output" in capsys.readouterr().err
