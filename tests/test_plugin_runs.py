"""Runs with plug-ins: the key of a training, the record, scripts, grids and the leaderboard."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import usvi_bench
from tests.leaderboard.records import make_record
from usvi_bench.cli.main import main
from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import read_json
from usvi_bench.core.record import read_record, write_record
from usvi_bench.engine import tracking
from usvi_bench.engine.experiment import Experiment
from usvi_bench.leaderboard.build import build, load_records
from usvi_bench.leaderboard.score_table import score_tables
from usvi_bench.reports.site.runs import command_of

ROOT = Path(__file__).resolve().parent.parent
HEAD = "from usvi_bench.core.registry import {}\nfrom usvi_bench.{} import {}\n\n"
UNTRAINED = (
    HEAD.format("METHODS", "methods.untrained", "Untrained")
    + '@METHODS.register("mine")\nclass Mine(Untrained):\n    summary = "mine"\n'
)
TRAINED = (
    HEAD.format("METHODS", "methods.cluster_contrast", "ClusterContrast")
    + '@METHODS.register("mine")\nclass Mine(ClusterContrast):\n    summary = "mine"\n'
)
ENCODER = (
    HEAD.format("ENCODERS", "components.encoder.resnet_networks", "Small")
    + '@ENCODERS.register("my_encoder")\nclass Mine(Small):\n    pass\n'
)
SCHEDULE = (
    HEAD.format("LR_SCHEDULES", "engine.lr_schedules", "step")
    + '@LR_SCHEDULES.register("my_schedule")\ndef mine(optimizer, train, epochs):\n'
    + "    return step(optimizer, train, epochs)\n"
)
PROTOCOL = (
    HEAD.format("PROTOCOLS", "protocols.sysu", "SysuIndoor")
    + '@PROTOCOLS.register("my_protocol")\nclass Mine(SysuIndoor):\n    name = "my_protocol"\n'
)
QUICK = {
    "train.epochs": 1,
    "train.iterations": 2,
    "train.visible_clusters": 2,
    "train.infrared_clusters": 2,
    "method.k1": 6,
    "method.eps": 0.5,
    "encoder.width": 8,
    "engine.threads": 1,
}


def keys(data: Path, **changes: object) -> list[str]:
    """Keys of the stages of an experiment, and the name of its folder."""
    settings = {**QUICK, **changes.pop("settings", {})}
    given = {"method": "cluster_contrast", "protocol": "sysu_indoor", "weights": "random", **changes}
    run = Experiment(data=str(data), settings=settings, **given).prepare()
    return [*(plan.key for plan in run.every_plan), run.folder.name]


@pytest.mark.parametrize(
    ("text", "changes", "trains_anew"),
    [
        (TRAINED, {"method": "mine"}, True),
        (ENCODER, {"settings": {"encoder.name": "my_encoder"}}, True),
        (SCHEDULE, {"settings": {"train.lr_schedule": "my_schedule"}}, True),
        (PROTOCOL, {"protocol": "my_protocol"}, False),
        (PROTOCOL, {"protocol": "my_protocol", "settings": {"evaluate_every": 1}}, True),
    ],
)
def test_an_edited_part_has_other_keys(
    text: str, changes: dict[str, object], trains_anew: bool, outside: Path, tiny_people: dict[str, Path]
) -> None:
    file = outside / "mine.py"
    found = []
    for source in (text, text + "# edited\n", text):
        file.write_text(source)
        found.append(keys(tiny_people["sysu"], imports=["mine.py"], **changes))
    first, edited, again = found
    assert first == again
    assert first[-1] != edited[-1], "its results go to another folder"
    assert (first[0] != edited[0]) == trains_anew


def test_a_plugin_that_is_not_used_changes_no_key(outside: Path, tiny_people: dict[str, Path]) -> None:
    (outside / "mine.py").write_text(TRAINED)
    assert keys(tiny_people["sysu"], imports=["mine.py"]) == keys(tiny_people["sysu"])


def test_a_training_by_another_source_is_neither_reused_nor_resumed(
    outside: Path, tiny_people: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file = outside / "mine.py"

    def run(**how: bool) -> str:
        usvi_bench.run("mine", "sysu_indoor", tiny_people["sysu"], settings=QUICK, imports=["mine.py"], **how)
        return capsys.readouterr().out

    file.write_text(TRAINED)
    assert "mine: mine, 1 epoch of 2 steps" in run()
    assert "reusing finished stage 'mine'" in run()
    (stage,) = Path("runs/stages").glob("mine-*")
    (stage / "finished.json").unlink()
    file.write_text(TRAINED + "    embeds = ()\n")
    told = run(resume=True)
    assert "mine: mine, 1 epoch of 2 steps" in told
    assert "resuming" not in told
    file.write_text(TRAINED)
    assert "resuming stage 'mine' of fold 1 after epoch 1" in run(resume=True)
    hashes = {source: hashlib.sha256(source.encode()).hexdigest() for source in (TRAINED, file.read_text())}
    plugins = [read_json(path)["plugins"] for path in Path("runs/stages").glob("mine-*/config.json")]
    assert len(plugins) == 2
    assert {"method mine": [hashes[TRAINED]]} in plugins


def test_an_edited_file_that_a_run_does_not_name_is_refused(outside: Path, tiny_people: dict[str, Path]) -> None:
    (outside / "mine.py").write_text(TRAINED)
    keys(tiny_people["sysu"], method="mine", imports=["mine.py"])
    (outside / "mine.py").write_text(TRAINED + "\n")
    with pytest.raises(UsageError, match=r"mine\.py has changed since it was imported"):
        keys(tiny_people["sysu"], method="mine")


def test_a_script_that_registers_its_own_method_is_a_plugin(outside: Path, tiny_people: dict[str, Path]) -> None:
    script = outside / "my_script.py"
    run = f"usvi_bench.run('mine', 'sysu_indoor', {str(tiny_people['sysu'])!r}, weights='random', verbose=False)"
    script.write_text(f"import usvi_bench\n{UNTRAINED}\nif __name__ == '__main__':\n    print({run}.plugins)\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, script.name], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    sha256 = hashlib.sha256(script.read_bytes()).hexdigest()
    expected = {"name": "my_script.py", "sha256": sha256, "origin": "script", "parts": ["method mine"]}
    assert done.stdout.strip() == str([expected])


def test_jobs_of_a_grid_import_the_plugin(outside: Path, tiny_people: dict[str, Path]) -> None:
    (outside / "mine.py").write_text(UNTRAINED)
    (outside / "rows.py").write_text('rows = {"mine": {}}')
    words = ["ablation", "--import", "mine.py", "--method", "mine", "--protocol", "sysu_indoor", "--grid", "rows.py"]
    words += ["--seeds", "1", "--data", str(tiny_people["sysu"]), "--device", "cpu", "--weights", "random"]
    assert main([*words, "--set", "encoder.width=8", "engine.threads=1"]) == 0
    (path,) = Path("runs/ablations").glob("*/jobs/*/record.json")
    assert [plugin["name"] for plugin in read_record(path).plugins] == ["mine.py"]
    job = json.loads(path.with_name("job.json").read_text())
    assert job["experiment"]["imports"] == [str(outside / "mine.py")]
    assert Experiment.from_json(job["experiment"]).imports == (str(outside / "mine.py"),)


def test_all_processes_of_a_training_import_the_plugin(outside: Path, tiny_people: dict[str, Path]) -> None:
    (outside / "mine.py").write_text(TRAINED)
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words += [str(ROOT / "run.py"), "--import", "mine.py", "--method", "mine", "--protocol", "sysu_indoor"]
    words += ["--data", str(tiny_people["sysu"]), "--weights", "random", "--device", "cpu", "--no-report", "--set"]
    done = subprocess.run([*words, *(f"{n}={v}" for n, v in QUICK.items())], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (path,) = Path("runs/sysu_indoor").glob("*/record.json")
    record = read_record(path)
    assert record.provenance["processes"] == 2  # type: ignore[typeddict-item]  # a further key
    assert [plugin["name"] for plugin in record.plugins] == ["mine.py"]


def test_an_interrupted_run_prints_the_command_that_goes_on(
    outside: Path, tiny_people: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (outside / "mine.py").write_text(TRAINED)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tracking, "execute", interrupt)
    words = ["--import", "mine.py", "--method", "mine", "--protocol", "sysu_all", "--data", str(tiny_people["sysu"])]
    with pytest.raises(SystemExit) as stop:
        main([*words, "--set", "method.k1=6"])
    assert stop.value.code == 130
    command = capsys.readouterr().out.splitlines()[-1]
    assert command.startswith("interrupted; finished epochs are kept. To continue: ")
    assert " --import mine.py --method mine --protocol sysu_all " in command
    assert command.endswith("--set method.k1=6 --resume")


PLUGIN = {"name": "mine.py", "sha256": "ab" * 32, "origin": "import", "parts": ["method mine"]}


def test_the_command_that_repeats_a_record_imports_its_plugins() -> None:
    others = [{**PLUGIN, "origin": "entry point", "name": "installed"}, {**PLUGIN, "origin": "script", "name": "s.py"}]
    record = make_record("mine", provenance={"plugins": [PLUGIN, *others]})
    command = command_of(record)
    assert command.startswith("python run.py --import mine.py --method mine ")
    assert command.count("--import") == 1


def test_a_row_of_the_leaderboard_names_its_plugins(tmp_path: Path) -> None:
    other = {**PLUGIN, "sha256": "cd" * 32}
    records = {
        "a.json": make_record("sclhm"),
        "b.json": make_record("mine", provenance={"plugins": [PLUGIN]}),
        "c.json": make_record("mine", seed=1, provenance={"plugins": [PLUGIN]}),
        "d.json": make_record("mine", provenance={"plugins": [other]}),
        "e.json": make_record("sclhm", seed=1, provenance={"plugins": [{**PLUGIN, "parts": []}]}),
    }
    (table,) = score_tables(records)
    assert {row.label: row.seeds for row in table.rows} == {
        "chance": 0,
        "mine (plug-in mine.py@abababab)": 2,
        "mine (plug-in mine.py@cdcdcdcd)": 1,
        "sclhm": 1,
        "sclhm (plug-in mine.py@abababab)": 1,
    }
    page = build(records)
    assert "| mine (plug-in mine.py@abababab) | 2 |" in page
    assert "the hash identifies its source" in page
    assert "plug-in" not in build({"a.json": records["a.json"]})


def test_a_record_of_an_unknown_method_without_a_plugin_is_refused(tmp_path: Path) -> None:
    write_record(tmp_path / "a.json", make_record("mine", provenance={"plugins": [PLUGIN]}))
    assert list(load_records(tmp_path)) == ["a.json"]
    record = make_record("mine")
    write_record(tmp_path / "b.json", record)
    with pytest.raises(UsageError, match=r"b\.json: unknown method 'mine', and the record lists no plug-in"):
        load_records(tmp_path)
    spoilt = replace(record, provenance={**record.provenance, "plugins": [{**PLUGIN, "origin": "mail"}]})
    with pytest.raises(UsageError, match=r"provenance\.plugins\[0\]\.origin=mail: choose one of import, entry point"):
        write_record(tmp_path / "c.json", spoilt)


def test_text_is_no_list_of_imports() -> None:
    with pytest.raises(UsageError, match=r"imports='mine\.py': give a list"):
        Experiment("pgm", "sysu_all", imports="mine.py")
