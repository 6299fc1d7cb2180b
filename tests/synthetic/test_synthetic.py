"""Generator of synthetic people: specification, layout on disk, determinism, and properties of infrared images."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from usvi_bench.core.errors import UsageError
from usvi_bench.synthetic import GENERATOR_VERSIONS, SyntheticSpec, ensure, parse
from usvi_bench.synthetic.body import build
from usvi_bench.synthetic.identity import Region, draw_person
from usvi_bench.synthetic.layout import plan
from usvi_bench.synthetic.raycast import cast, column_places
from usvi_bench.synthetic.render import render
from usvi_bench.synthetic.skeleton import Pose
from usvi_bench.synthetic.writing import batches_of

TINY = SyntheticSpec(size="tiny")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    cache = tmp_path_factory.mktemp("synthetic")
    return {layout: ensure(layout, TINY, cache, workers=1) for layout in ("sysu", "regdb")}


def images_of(layout: str, spec: SyntheticSpec, camera: int, count: int) -> np.ndarray:
    """Render images of as many people as possible from one camera."""
    shots = [shot for shot in plan(layout, spec).shots if shot.camera == camera]
    step = max(1, len(shots) // count)
    return render(spec, layout, shots[::step][:count], 128)


# Specification ------------------------------------------------------------------------------------------------


def test_parse_reads_every_key() -> None:
    assert parse("synthetic") == SyntheticSpec()
    spec = parse("synthetic:size=tiny, seed=3,occlusion=0.5,pose=0")
    assert spec == SyntheticSpec(size="tiny", seed=3, occlusion=0.5, pose=0.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("synthetic:sise=small", "did you mean size"),
        ("synthetic:size=smal", "did you mean small"),
        ("synthetic:seed=x", "takes an integer"),
        ("synthetic:occlusion=much", "takes a number"),
        ("synthetic:occlusion=2", "out of range"),
        ("synthetic:occlusion=nan", "out of range"),
        ("synthetic:seed=-1", "negative"),
        ("synthetic:seed=1,seed=2", "twice"),
        ("synthetics", "not a synthetic specification"),
    ],
)
def test_parse_names_the_mistake(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(text)


def test_folders_differ_between_specifications() -> None:
    specs = [TINY, replace(TINY, seed=1), replace(TINY, pose=0.5), replace(TINY, size="small")]
    assert len({spec.folder("sysu") for spec in specs} | {TINY.folder("regdb")}) == 5
    assert TINY.folder("sysu").startswith(f"sysu-v{GENERATOR_VERSIONS['sysu']}-tiny-128-seed0-")


def test_integer_and_real_knobs_name_the_same_tree() -> None:
    assert replace(TINY, pose=1).folder("sysu") == TINY.folder("sysu")


# Geometry -----------------------------------------------------------------------------------------------------


def test_cast_finds_the_surface_that_marching_finds() -> None:
    """Depths are compared with ray marching through the implicit solids.

    Between its two spheres, a solid is a cone for the marching, and touches both spheres for the cast. At a silhouette
    this moves the border by up to 12 mm, so that there the depth lies between those of thinner and thicker solids.
    """
    pose = Pose(np.array([0.7]), np.array([0.2]), np.array([1.1]), np.array([1.0]))
    solids = build([draw_person(TINY, "sysu", 1)], pose)
    x, y = torch.linspace(-0.4, 0.4, 12)[None], torch.linspace(1.7, 0.0, 24)[None]
    hits = cast(solids, x, y)
    flat = torch.arange(24 * 12)
    places = column_places(x, torch.zeros_like(flat), flat // 12, flat % 12)
    depth = torch.full((24 * 12,), -9.0)
    depth[hits.pixel] = hits.depth
    steps = torch.arange(1.0, -1.0, -0.002)
    exact = []
    for pixel in range(0, 24 * 12, 7):
        row, column = divmod(pixel, 12)
        points = torch.stack([places[pixel].expand_as(steps), y[0, row].expand_as(steps), steps], -1)
        found = {}
        for thicker in (-0.012, 0.0, 0.012):
            inside = torch.zeros(len(steps), dtype=torch.bool)
            for slot in torch.nonzero(solids.start_radius[0] > 0).flatten().tolist():
                inside |= _inside(solids, slot, points, thicker)
            found[thicker] = float(steps[inside][0]) if inside.any() else -9.0
        assert found[-0.012] - 0.01 < float(depth[pixel]) < found[0.012] + 0.01, (row, column)
        exact.append(abs(found[0.0] - float(depth[pixel])) < 0.01)
    assert np.mean(exact) > 0.95


def _inside(solids, slot: int, points: torch.Tensor, thicker: float) -> torch.Tensor:  # type: ignore[no-untyped-def]
    axis, factor = solids.axis[0, slot], solids.squeeze[0, slot]
    squeeze = torch.eye(3) + torch.outer(axis, axis) * (1 / factor - 1)
    start, end, p = squeeze @ solids.start[0, slot], squeeze @ solids.end[0, slot], points @ squeeze
    first, last = solids.start_radius[0, slot] + thicker, solids.end_radius[0, slot] + thicker
    span = end - start
    length = span.norm().clamp_min(1e-5)
    along = (p - start) @ (span / length)
    away = (p - start - along[:, None] * span / length).norm(dim=1)
    cone = (along >= 0) & (along <= length) & (away < first + (last - first) * along / length)
    ball = ((p - start).norm(dim=1) < first) & ~solids.open_start[slot]
    return cone | ball | ((p - end).norm(dim=1) < last) & ~solids.open_end[slot]


# Layout on disk -----------------------------------------------------------------------------------------------


def test_sysu_layout(trees: dict[str, Path]) -> None:
    tree = trees["sysu"]
    lists = {name: (tree / f"exp/{name}_id.txt").read_text() for name in ("train", "val", "test", "available")}
    assert all(text.count("\n") == 1 for text in lists.values())
    ids = {name: [int(part) for part in text.split(",")] for name, text in lists.items()}
    assert (len(ids["train"]), len(ids["val"]), len(ids["test"])) == (12, 2, 8)
    assert sorted(ids["train"] + ids["val"] + ids["test"]) == sorted(set(ids["available"]))

    def files(person: int, cameras: tuple[int, ...]) -> list[Path]:
        return [file for camera in cameras for file in sorted((tree / f"cam{camera}" / f"{person:04d}").glob("*.jpg"))]

    for person in ids["available"]:
        assert files(person, (1, 2, 4, 5)), person
        assert files(person, (3, 6)), person
    for person in ids["test"]:
        for camera in (1, 2, 4, 5):
            assert len(files(person, (camera,))) in (0, 10)
    trained = ids["train"] + ids["val"]
    assert sum(len(files(person, (1, 2, 4, 5))) for person in trained) >= 40
    assert sum(len(files(person, (3, 6))) for person in trained) >= 40
    infrared = np.asarray(Image.open(files(trained[0], (3,))[0]))
    assert infrared.shape == (128, 64, 3)
    assert (infrared == infrared[..., :1]).all()


def test_regdb_layout(trees: dict[str, Path]) -> None:
    tree = trees["regdb"]
    for fold in (1, 2):
        people: dict[str, set[str]] = {}
        for split in ("train", "test"):
            for modality, folder in (("visible", "Visible"), ("thermal", "Thermal")):
                lines = (tree / f"idx/{split}_{modality}_{fold}.txt").read_text().splitlines()
                pairs = [line.split(" ") for line in lines]
                assert {int(label) for _, label in pairs} == set(range(8))
                assert len(pairs) == 80
                assert len({(path.split("/")[1], label) for path, label in pairs}) == 8
                assert all(path.startswith(f"{folder}/") and (tree / path).is_file() for path, _ in pairs)
                people.setdefault(split, set()).update(path.split("/")[1] for path, _ in pairs)
        assert len(people["train"]) == len(people["test"]) == 8
        assert not people["train"] & people["test"]
    image = np.asarray(Image.open(tree / pairs[0][0]))
    assert image.shape == (128, 64, 3)


def test_manifest_and_ground_truth(trees: dict[str, Path]) -> None:
    for layout, tree in trees.items():
        manifest = json.loads((tree / "synthetic.json").read_text())
        rows = list(csv.DictReader((tree / "ground_truth.csv").open()))
        assert (manifest["layout"], manifest["spec"]["size"], len(manifest["bytes"])) == (layout, "tiny", 64)
        assert manifest["images"] == len(rows)
        assert all((tree / row["path"]).is_file() for row in rows)
        assert {row["modality"] for row in rows} == {"visible", "infrared"}


# Determinism and safety ---------------------------------------------------------------------------------------


def test_bytes_do_not_depend_on_the_number_of_workers(trees: dict[str, Path], tmp_path: Path) -> None:
    again = ensure("regdb", TINY, tmp_path, workers=2)
    assert (again / "synthetic.json").read_text() == (trees["regdb"] / "synthetic.json").read_text()
    assert (again / "ground_truth.csv").read_text() == (trees["regdb"] / "ground_truth.csv").read_text()


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    """Return a function that sets torch's number of threads for one test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize(("layout", "camera"), [("sysu", 1), ("sysu", 3), ("regdb", 2)])
def test_bytes_do_not_depend_on_the_number_of_threads(
    layout: str, camera: int, set_threads: Callable[[int], None]
) -> None:
    made = []
    for threads in (1, 2, 3):
        set_threads(threads)
        # As many images as torch needs before it shares the work on their points among threads.
        made.append(images_of(layout, TINY, camera, 16))
    assert (made[1] == made[0]).all()
    assert (made[2] == made[0]).all()


def test_rendering_leaves_global_state_alone() -> None:
    shots = batches_of(plan("sysu", TINY).shots, TINY)[0][:2]
    torch.manual_seed(5)
    np.random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = render(TINY, "sysu", shots, 128)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    assert (render(TINY, "sysu", shots, 128) == first).all()


def test_a_present_tree_is_not_rendered_again(trees: dict[str, Path]) -> None:
    stamp = (trees["sysu"] / "synthetic.json").stat().st_mtime_ns
    messages: list[str] = []
    assert ensure("sysu", TINY, trees["sysu"].parent, messages.append) == trees["sysu"]
    assert (trees["sysu"] / "synthetic.json").stat().st_mtime_ns == stamp
    assert not messages


def test_a_killed_render_leaves_no_tree_and_blocks_no_other(trees: dict[str, Path], tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from usvi_bench.synthetic import ensure, parse\n"
        "ensure('regdb', parse('synthetic:size=tiny'), Path(sys.argv[1]), lambda text: os._exit(9), workers=1)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=False)
    assert killed.returncode == 9
    left = [entry.name for entry in tmp_path.iterdir() if entry.is_dir()]
    assert len(left) == 1
    assert left[0].startswith(".")
    tree = ensure("regdb", TINY, tmp_path, workers=1)
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_dir()] == [tree.name]
    assert (tree / "synthetic.json").read_text() == (trees["regdb"] / "synthetic.json").read_text()


def test_a_failing_render_cleans_up(tmp_path: Path) -> None:
    def fail(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure("regdb", TINY, tmp_path, fail, workers=1)
    assert not [entry for entry in tmp_path.iterdir() if entry.is_dir()]


def test_two_processes_at_once_make_one_tree(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from usvi_bench.synthetic import ensure, parse\n"
        "print(ensure('regdb', parse('synthetic:size=tiny'), Path(sys.argv[1]), print, workers=1))"
    )
    pair = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=-1, text=True) for _ in "ab"]
    outputs = [process.communicate()[0] for process in pair]
    assert [process.returncode for process in pair] == [0, 0]
    assert len({output.splitlines()[-1] for output in outputs}) == 1
    assert sorted("320 of 320" in output for output in outputs) == [False, True]


def test_unknown_layout_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean regdb"):
        ensure("regdbs", TINY, tmp_path)  # type: ignore[arg-type]


# What the images show -----------------------------------------------------------------------------------------


def test_seeds_and_layouts_give_different_people() -> None:
    people = [
        draw_person(TINY, "sysu", 1),
        draw_person(replace(TINY, seed=1), "sysu", 1),
        draw_person(TINY, "regdb", 1),
    ]
    assert len({(person.body, person.outfit) for person in people}) == 3


def test_shared_clothes() -> None:
    spec = replace(TINY, clothing_similarity=1.0)
    people = [draw_person(spec, "sysu", number) for number in range(1, 41)]
    assert len({person.outfit for person in people}) <= 4
    assert len({person.body for person in people}) == 40


def test_occlusion_covers_that_share(tmp_path: Path) -> None:
    clear, covered = images_of("sysu", TINY, 4, 8), images_of("sysu", replace(TINY, occlusion=1.0), 4, 8)
    changed = (clear != covered).any(axis=(1, 2, 3))
    assert changed.all()


def regions(images: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the mean luma in fixed boxes of each image."""
    grey = images.astype(np.float64) @ [0.299, 0.587, 0.114]
    y, x = (np.arange(128) + 0.5)[:, None] / 128, np.abs((np.arange(64) + 0.5) / 64 - 0.5)[None]
    boxes = {
        "head": (y > 0.03) & (y < 0.125) & (x < 0.10),
        "torso": (y > 0.20) & (y < 0.45) & (x < 0.18),
        "legs": (y > 0.56) & (y < 0.86) & (x < 0.17),
        "background": ((y < 0.14) & (x > 0.32)) | ((y < 0.55) & (x > 0.44)),
    }
    return {name: grey[:, box].mean(1) for name, box in boxes.items()}


def test_near_infrared_is_bright_clothes_and_dark_hair() -> None:
    spec = SyntheticSpec()
    visible, room, passage = (regions(images_of("sysu", spec, camera, 56)) for camera in (4, 3, 6))
    for near in (room, passage):
        assert near["torso"].mean() > visible["torso"].mean() + 50
        assert (near["head"] - near["torso"]).mean() < -20
        assert (near["torso"] - near["background"]).mean() > 0
    assert passage["torso"].mean() > room["torso"].mean() + 10


def test_thermal_is_warm_people() -> None:
    spec = SyntheticSpec()
    thermal = regions(images_of("regdb", spec, 2, 72))
    assert (thermal["torso"] > thermal["background"]).mean() > 0.55
    assert abs(thermal["legs"].mean() - thermal["torso"].mean()) < 25
    people = [draw_person(spec, "regdb", number) for number in range(1, 400)]
    colour = np.array([sum(person.materials[Region.TOP].colour) for person in people])
    heat = np.array([person.materials[Region.TOP].heat for person in people])
    assert abs(np.corrcoef(colour, heat)[0, 1]) < 0.15


def test_without_modality_gap_infrared_is_grey_visible() -> None:
    spec = replace(SyntheticSpec(), modality_gap=0.0, camera_gap=0.0)
    people = [draw_person(spec, "sysu", number) for number in range(1, 161)]
    dark = [person.number for person in people if sum(person.materials[Region.TOP].colour) < 0.6]
    shots = [shot for shot in plan("sysu", spec).shots if shot.camera == 3 and shot.person in dark][::6]
    grey = regions(render(spec, "sysu", shots, 128))["torso"].mean()
    assert grey < 90
    apart = replace(spec, modality_gap=1.0)
    assert regions(render(apart, "sysu", shots, 128))["torso"].mean() > grey + 30


def test_cli_draws_a_contact_sheet(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "usvi_bench.synthetic", "preview", str(tmp_path / "sheet.png")]
    options = ["--data", "synthetic:size=tiny", "--identities", "2", "--per-camera", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, *options], cwd=ROOT, check=True, env=environment)
    assert Image.open(tmp_path / "sheet.png").size == (6 * 66, 2 * 130)
    wrong = subprocess.run([*command, "--data", "synthetic:sise=1"], cwd=ROOT, check=False, env=environment, stderr=-1)
    assert wrong.returncode == 2


def test_the_lock_follows_no_link(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("content")
    (tmp_path / f".{TINY.folder('regdb')}.lock").symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        ensure("regdb", TINY, tmp_path, workers=1)
    assert target.read_text() == "content"
