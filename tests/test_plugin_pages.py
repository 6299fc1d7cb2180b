"""The examples of the pages about methods, data sets and protocols run from a folder outside the project."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import usvi_bench
from usvi_bench.cli.main import main
from usvi_bench.core.record import Record, read_record

DOCS = Path(__file__).resolve().parent.parent / "docs"
QUICK = "train.epochs=1 train.iterations=2 train.visible_clusters=2 train.infrared_clusters=2 engine.threads=1"
SYNTHETIC = f"{QUICK} encoder.width=8 method.k1=6 method.eps=0.5".split()
SMALL = ["encoder.name=small", "encoder.width=8", "data.height=64", "data.width=32", "engine.threads=1"]
OWN = [*SMALL, *f"{QUICK} method.k1=6 method.k2=2 method.eps=0.5".split()]


def write_example(page: str, folder: Path) -> str:
    """Write the file of a page to a folder, and return the page."""
    text = (DOCS / page).read_text()
    code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    name = re.findall(r"`(\w+\.py)`", text)[0]
    (folder / name).write_text(code)
    assert len(code.splitlines()) < 70
    return text


def commands(text: str) -> list[list[str]]:
    return [shlex.split(line)[1:] for line in re.findall(r"^usvi-bench .*$", text, re.MULTILINE)]


def train(words: list[str], settings: list[str]) -> tuple[Record, Path]:
    """Run a command of a page on two steps of a small encoder; return its record and the folder of the run."""
    assert main([*words, "--set", *settings]) == 0
    (path,) = Path("runs").glob(f"{words[words.index('--protocol') + 1]}/*/record.json")
    return read_record(path), path.parent


def write_people(folder: Path) -> None:
    """Write pictures of six people to train on and of four others: each with a shade, in each of three cameras."""
    generator = np.random.default_rng(0)
    for split, people in (("train", range(1, 7)), ("test", range(7, 11))):
        (folder / split).mkdir(parents=True)
        for person in people:
            for camera in (1, 2, 3):
                for number in range(6):
                    pixels = generator.integers(0, 20, (64, 32, 3)) + 22 * person
                    picture = Image.fromarray(pixels.astype(np.uint8))
                    picture.save(folder / split / f"{person:04d}_{camera}_{number:03d}.png")


def test_the_method_of_the_page_is_that_of_the_command(outside: Path) -> None:
    write_example("add_a_method.md", outside)
    assert main(["new", "method", "cross_contrast", "--output", "written.py"]) == 0
    assert Path("written.py").read_text() == Path("cross_contrast.py").read_text()


def test_the_method_of_the_page(
    outside: Path, tiny_people: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    text = write_example("add_a_method.md", outside)
    listing, training = commands(text.replace("synthetic:size=tiny", str(tiny_people["sysu"])))  # rendered once
    assert main(listing) == 0
    assert "cluster contrast with a cross-modal term" in capsys.readouterr().out
    record, folder = train([*training, "--no-report"], [*SYNTHETIC, "method.cross_weight=0.5"])
    assert "cross" in capsys.readouterr().out
    (plugin,) = record.plugins
    assert (plugin["name"], plugin["origin"]) == ("cross_contrast.py", "import")
    assert plugin["parts"] == ["method cross_contrast"]
    assert plugin["sha256"]
    assert main(["report", str(folder)]) == 0
    assert f"plug-in cross_contrast.py@{plugin['sha256'][:8]}" in (folder / "report" / "report.md").read_text()


def test_the_method_of_the_page_from_python(outside: Path, tiny_people: dict[str, Path]) -> None:
    write_example("add_a_method.md", outside)
    settings = dict(item.split("=") for item in SYNTHETIC)
    record = usvi_bench.run(
        "cross_contrast",
        "sysu_all",
        tiny_people["sysu"],
        settings=settings,
        imports=[outside / "cross_contrast.py"],
        verbose=False,
    )
    assert [plugin["name"] for plugin in record.plugins] == ["cross_contrast.py"]
    assert str(outside) not in str(record.plugins), "a record names no folder of a machine"


def test_the_data_set_and_the_protocol_of_the_pages(outside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check, training = commands(write_example("add_a_data_set.md", outside))
    listing, scoring = commands(write_example("add_a_protocol.md", outside))
    write_people(outside / "pictures")
    assert main(check) == 0
    told = capsys.readouterr().out
    assert "MyPeople layout" in told
    assert re.search(r"train +6 +72 +36", told)
    assert "complete: nothing is missing" in told
    assert main(listing) == 0
    assert "my people: visible cameras 1 and 2" in capsys.readouterr().out

    imports = ["my_people.py", "my_protocol.py"]
    assert len(usvi_bench.open_data("my_people_i2v", "pictures", imports=imports, verbose=False).test().visible) == 48
    record, folder = train(training, OWN)
    assert record.complete
    assert len(record.scores()) == 3
    assert record.result.dataset["name"] == "my_people"
    assert "MyPeople" in record.result.dataset["description"]
    assert [plugin["parts"] for plugin in record.plugins] == [["data set my_people"], ["protocol my_people_i2v"]]
    assert "MyPeople" in (folder / "report" / "report.md").read_text()
    assert main(["report", str(folder), "--output", "again"]) == 0
    assert main(["site", "--runs", "runs", "--output", "site"]) == 0
    assert main([*scoring, "--no-report", "--set", *SMALL]) == 0


def test_a_data_set_from_outside_has_no_synthetic_people(outside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_example("add_a_data_set.md", outside)
    write_example("add_a_protocol.md", outside)
    words = ["--import", "my_people.py", "--import", "my_protocol.py", "--method", "untrained"]
    for data in ("auto", "synthetic:size=tiny"):
        assert main([*words, "--protocol", "my_people_i2v", "--data", data]) == 2
        assert "no synthetic people in the layout of MyPeople: give its folder with --data" in capsys.readouterr().err
