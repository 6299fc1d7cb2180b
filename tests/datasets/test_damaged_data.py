"""Damaged, mislabelled and unusual data: a clear refusal, a rebuilt cache, or the right pixels."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.datasets.trees import write_note, write_regdb, write_sysu
from usvi_bench.core.errors import UsageError
from usvi_bench.core.host import cache_folder
from usvi_bench.datasets.base import ImageTable
from usvi_bench.datasets.cache import decoded, open_upright
from usvi_bench.datasets.check import check_folder
from usvi_bench.datasets.grey_depth import parse_depth_range
from usvi_bench.datasets.regdb import RegDB
from usvi_bench.datasets.sysu import Sysu
from usvi_bench.synthetic import parse
from usvi_bench.synthetic.tree import ensure


def table(folder: Path, *names: str) -> ImageTable:
    return ImageTable("infrared", folder, names, np.arange(len(names)), np.zeros(len(names), np.int64))


@pytest.fixture
def sysu(tmp_path: Path) -> Path:
    return write_sysu(tmp_path / "SYSU-MM01")


@pytest.fixture
def regdb(tmp_path: Path) -> Path:
    return write_regdb(tmp_path / "RegDB", folds=10)


def refusal(reader: type[Sysu] | type[RegDB], root: Path) -> str:
    with pytest.raises(UsageError) as caught:
        _ = reader(root, expect_counts=False).fingerprint
    assert len(str(caught.value).splitlines()) <= 3
    return str(caught.value)


# ---- pixels ------------------------------------------------------------------------------------------------------


def naive_scaling(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.array([[round(255 * min(max((v - low) / (high - low), 0), 1)) for v in row] for row in values.tolist()])


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_deep_grey_is_scaled_by_the_range_of_each_image(tmp_path: Path, kind: type) -> None:
    """Radiometric values use a small part of 16 bits; dead pixels must not flatten the image."""
    deep = np.random.default_rng(0).integers(7000, 7500, (24, 12)).astype(kind)
    dead = deep.copy()
    dead[0, 0] = 65000
    for name, values in (("a.tif", deep), ("b.tif", dead)):
        Image.fromarray(values).save(tmp_path / name)
    pixels = decoded(table(tmp_path, "a.tif", "b.tif"), 24, 12, "bicubic", str(kind))
    for found, values in zip(pixels, (deep, dead), strict=True):
        ranked = sorted(values.astype(float).ravel().tolist())
        places = [share * (len(ranked) - 1) for share in (0.005, 0.995)]
        low, high = (
            ranked[int(p)] + (p - int(p)) * (ranked[min(int(p) + 1, len(ranked) - 1)] - ranked[int(p)]) for p in places
        )
        assert np.abs(found[..., 0] - naive_scaling(values, low, high)).max() <= 1
        assert (found[..., 0] == found[..., 2]).all()
    assert np.abs(pixels[0].astype(int) - pixels[1]).mean() < 4


def test_a_stated_range_scales_all_images_alike(tmp_path: Path) -> None:
    values = np.array([[6000, 7000, 8000, 9000, 9500]] * 4, np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    pixels = decoded(table(tmp_path, "deep.png"), 4, 5, "bicubic", "x", depth_range="7000:9000")
    assert pixels[0, 0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_8_bits_do_not_depend_on_the_range(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 12, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "8.png")
    one, other = (decoded(table(tmp_path, "8.png"), 8, 4, "bicubic", "x", depth_range=r) for r in ("image", "1:2"))
    assert np.array_equal(one, other)


def test_grey_that_is_no_number_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), np.nan, np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(UsageError, match=r"float\.tif: its grey values are not all finite numbers"):
        decoded(table(tmp_path, "float.tif"), 4, 4, "bicubic", "x")


@pytest.mark.parametrize("text", ["", "7000", "9000:7000", "5:5", "a:b", "nan:1", "1:2:3", "1e400:2"])
def test_a_wrong_range_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"data\.depth_range=.*LOW:HIGH"):
        parse_depth_range(text)


@pytest.mark.parametrize("size", [(1, 1), (3, 64), (64, 3)])
def test_images_of_less_than_four_pixels_are_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size).save(tmp_path / "small.png")
    with pytest.raises(UsageError, match=rf"small\.png: it has {size[0]}x{size[1]} pixels, at least 4x4 are needed"):
        decoded(table(tmp_path, "small.png"), 4, 4, "bicubic", "x")


def test_only_formats_of_pictures_are_opened(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 12 24\n%%EndComments\nshowpage\n")
    with pytest.raises(UsageError, match="cannot identify image file"):
        decoded(table(tmp_path, "a.jpg"), 4, 4, "bicubic", "x")


@pytest.mark.parametrize("orientation", [1, 6, 8])
@pytest.mark.parametrize("mode", ["L", "I;16", "P", "RGB"])
def test_a_turned_tiff_has_the_pixels_of_its_png(tmp_path: Path, mode: str, orientation: int) -> None:
    """Pillow maps uncompressed TIFF files that it opens by their path, and confuses the rows of turned ones."""
    grey = np.arange(12 * 20, dtype=np.uint16 if mode == "I;16" else np.uint8).reshape(20, 12)
    image = Image.fromarray(grey) if mode != "P" else Image.fromarray(grey).convert("P")
    image = image.convert("RGB") if mode == "RGB" else image
    exif = Image.Exif()
    exif[0x0112] = orientation
    for suffix in ("tiff", "png"):
        image.save(tmp_path / f"turned.{suffix}", exif=exif)
    tiff, png = (np.asarray(open_upright(tmp_path / f"turned.{suffix}")) for suffix in ("tiff", "png"))
    np.testing.assert_array_equal(tiff, png)
    assert tiff.shape == ((20, 12, 3) if orientation == 1 else (12, 20, 3))


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    upright = np.random.default_rng(0).integers(0, 256, (24, 12, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(upright)).save(tmp_path / "turned.png", exif=exif)
    pixels = decoded(table(tmp_path, "turned.png"), 24, 12, "bicubic", "x")
    assert np.array_equal(pixels[0], upright)


def test_palette_and_transparency_are_converted(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (4, 6), (10, 20, 30, 0))
    picture.save(tmp_path / "rgba.png")
    picture.convert("RGB").quantize(4).save(tmp_path / "palette.png")
    pixels = decoded(table(tmp_path, "rgba.png", "palette.png"), 6, 4, "bicubic", "x")
    assert (pixels[0] == (10, 20, 30)).all()
    assert np.abs(pixels[1].astype(int) - (10, 20, 30)).max() <= 3


# ---- caches ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["zeros", "flip", "cut", "empty"])
def test_a_damaged_image_cache_is_decoded_again_with_a_message(tmp_path: Path, damage: str) -> None:
    Image.new("L", (4, 6), 77).save(tmp_path / "a.png")
    cache, messages = tmp_path / "cache", list[str]()
    first = np.array(decoded(table(tmp_path, "a.png"), 6, 4, "bicubic", "x", cache, messages.append))
    assert messages == []
    (path,) = cache.rglob("*.npy")
    content = bytearray(path.read_bytes())
    if damage == "zeros":
        content[128:-80] = bytes(len(content) - 208)
    elif damage == "flip":
        content[150] ^= 4
    path.write_bytes({"cut": content[:-5], "empty": b""}.get(damage, content))
    again = decoded(table(tmp_path, "a.png"), 6, 4, "bicubic", "x", cache, messages.append)
    assert np.array_equal(again, first)
    assert len(messages) == 1
    assert str(path) in messages[0]
    assert messages[0].endswith("decoding the images again")


@pytest.mark.parametrize("content", ["", "{}", '{"content": "x", "images": "x", "digest": "x"}', "[" * 100_000])
def test_a_damaged_fingerprint_is_computed_again(sysu: Path, content: str) -> None:
    fingerprint = Sysu(sysu, expect_counts=False).fingerprint
    newest = max((cache_folder() / "fingerprints").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    newest.write_text(content)
    assert Sysu(sysu, expect_counts=False).fingerprint == fingerprint
    assert json.loads(newest.read_text())["content"].startswith(fingerprint)


def test_a_byte_changed_under_the_same_size_and_time_changes_the_fingerprint(sysu: Path) -> None:
    before = Sysu(sysu, expect_counts=False).fingerprint
    path = sysu / "cam1/0001/0001.jpg"
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size
    assert Sysu(sysu, expect_counts=False).fingerprint != before


def test_changed_images_of_a_generated_tree_are_refused(tmp_path: Path) -> None:
    tree = ensure("sysu", parse("synthetic:size=tiny"), tmp_path)
    assert Sysu(tree).fingerprint.startswith("synthetic-")
    path = next(tree.glob("cam1/*/*.jpg"))
    shutil.copy(next(tree.glob("cam2/*/*.jpg")), path)
    with pytest.raises(UsageError, match="images are not those that were generated; delete the folder"):
        _ = Sysu(tree).fingerprint


def test_changed_lists_of_a_generated_tree_are_refused(tmp_path: Path) -> None:
    tree = ensure("sysu", parse("synthetic:size=tiny"), tmp_path)
    path = tree / "exp/train_id.txt"
    path.write_text(path.read_text().rstrip())
    with pytest.raises(UsageError, match="lists are not those that were generated; delete the folder"):
        _ = Sysu(tree).fingerprint


@pytest.mark.parametrize("change", [{"bytes": None}, {"spec": []}, {"images": True}, {"layout": 3}])
def test_an_incomplete_description_makes_no_tree_synthetic(sysu: Path, change: dict[str, object]) -> None:
    write_note(sysu, **change)
    assert f"does not describe generated people ('{next(iter(change))}' is" in refusal(Sysu, sysu)
    (sysu / "synthetic.json").write_text("{}")
    assert "does not describe generated people" in refusal(Sysu, sysu)
    (sysu / "synthetic.json").write_text("[" * 100_000)
    assert "nested too deeply" in refusal(Sysu, sysu)


# ---- entries that are not images ---------------------------------------------------------------------------------


def test_entries_named_like_images_must_be_files(sysu: Path) -> None:
    folder = sysu / "cam1/0001"
    for make in (
        lambda path: path.mkdir(),
        os.mkfifo,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to(path),
    ):
        path = folder / "zz.jpg"
        make(path)
        assert f"{path} is named like an image but is not a file; remove it" in refusal(Sysu, sysu)
        assert "is not a file; remove it" in check_folder(sysu).text
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    _ = Sysu(sysu, expect_counts=False).fingerprint


def test_a_folder_that_links_to_itself_is_named(sysu: Path) -> None:
    shutil.rmtree(sysu / "cam1")
    (sysu / "cam1").symlink_to(sysu / "cam1")
    assert "no folder cam1" in refusal(Sysu, sysu)
    assert "no folder cam1" in check_folder(sysu).text


def test_a_name_that_is_not_utf8_is_refused(sysu: Path) -> None:
    (Path(os.fsdecode(os.fsencode(sysu) + b"/cam1/0001/\xe9.jpg"))).write_bytes(b"")
    assert "is not UTF-8, or not printable; rename the file" in refusal(Sysu, sysu)


@pytest.mark.parametrize("name", ["a\nb.jpg", "\x1b[2J.jpg", "a\u202egpj.jpg"])
def test_a_name_that_is_not_printable_is_refused(sysu: Path, name: str) -> None:
    (sysu / "cam1/0001" / name).write_bytes(b"")
    message = refusal(Sysu, sysu)
    assert "not printable; rename the file" in message
    assert all(line.isprintable() for line in message.splitlines())


def test_a_root_that_is_not_utf8_is_read(sysu: Path) -> None:
    fingerprint = Sysu(sysu, expect_counts=False).fingerprint
    root = sysu.rename(Path(os.fsdecode(os.fsencode(sysu.parent) + b"/\xe9")))
    assert Sysu(root, expect_counts=False).fingerprint == fingerprint


def test_a_person_that_is_a_file_is_refused(sysu: Path) -> None:
    shutil.rmtree(sysu / "cam1/0001")
    (sysu / "cam1/0001").touch()
    assert "cannot read the folder" in refusal(Sysu, sysu)


# ---- lists -------------------------------------------------------------------------------------------------------


def exchange(root: Path, one: str, other: str) -> None:
    first, second = (root / f"idx/{name}.txt" for name in (one, other))
    texts = first.read_text(), second.read_text()
    first.write_text(texts[1])
    second.write_text(texts[0])


def test_lists_of_exchanged_modalities_are_refused(regdb: Path) -> None:
    exchange(regdb, "test_visible_1", "test_thermal_1")
    assert "is not below Visible; restore the list" in refusal(RegDB, regdb)
    assert "is not below Visible" in check_folder(regdb).text


def test_a_thermal_list_that_copies_the_visible_one_is_refused(regdb: Path) -> None:
    shutil.copy(regdb / "idx/train_visible_1.txt", regdb / "idx/train_thermal_1.txt")
    assert "is not below Thermal; restore the list" in refusal(RegDB, regdb)


def test_backslashes_are_read_as_slashes(regdb: Path) -> None:
    before = RegDB(regdb, expect_counts=False).train(1).visible.paths
    path = regdb / "idx/train_visible_1.txt"
    path.write_text(path.read_text().replace("/", "\\"))
    assert RegDB(regdb, expect_counts=False).train(1).visible.paths == before


@pytest.mark.parametrize(
    "line", ["../Visible/1/x.bmp 0", "/etc/passwd 0", "Visible/../../x.bmp 0", "Visible/1/x.bmp -1"]
)
def test_paths_that_leave_the_data_set_are_refused(regdb: Path, line: str) -> None:
    (regdb / "idx/train_visible_1.txt").write_text(line)
    assert "train_visible_1.txt line 1: " in refusal(RegDB, regdb)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_lists_must_be_files(sysu: Path, regdb: Path, make) -> None:
    for reader, root, name in ((Sysu, sysu, "exp/val_id.txt"), (RegDB, regdb, "idx/test_visible_1.txt")):
        (root / name).unlink()
        make(root / name)
        assert f"no file {root / name}; restore it" in refusal(reader, root)
        make(root / "synthetic.json")
        assert f"no file {root / 'synthetic.json'}; restore it" in refusal(reader, root)


@pytest.mark.parametrize("line", [". 0", "Visible/1/\x1b[2J.bmp 0", "Visible/1/x\x00.bmp 0", "Visible/1/x.bmp\t0"])
def test_odd_lines_of_a_list_are_refused(regdb: Path, line: str) -> None:
    (regdb / "idx/train_visible_1.txt").write_text(line)
    message = refusal(RegDB, regdb)
    assert "train_visible_1.txt line 1: " in message
    assert all(line.isprintable() for line in message.splitlines())


def test_published_lists_have_ten_folds(tmp_path: Path) -> None:
    root = write_regdb(tmp_path / "RegDB", folds=1)
    with pytest.raises(UsageError, match=r"1 of 10 folds \(no lists of fold 2, 3, 4, 5, 6, 7, 8, 9, 10\)"):
        RegDB(root)
    assert "1 of 10 folds" in check_folder(root).text
    assert RegDB(root, expect_counts=False).folds == (1,)


def test_lists_with_padded_numbers_are_named(tmp_path: Path) -> None:
    root = write_regdb(tmp_path / "RegDB", folds=1)
    for path in sorted((root / "idx").iterdir()):
        path.rename(path.with_name(path.name.replace("_1.txt", "_01.txt")))
    message = refusal(RegDB, root)
    assert "no list idx/train_visible_1.txt; rename idx/test_thermal_01.txt, whose number begins with 0" in message


# ---- rights ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv to drop rights")
@pytest.mark.parametrize("name", ["cam1", "cam1/0001", "cam1/0001/0001.jpg", "exp/test_id.txt"])
def test_what_cannot_be_read_is_named(sysu: Path, name: str) -> None:
    os.chown(sysu / name, 65534, 65534)
    (sysu / name).chmod(0o700)
    code = (
        "import sys; from pathlib import Path; from usvi_bench.core.errors import UsageError\n"
        "from usvi_bench.datasets.check import check_folder; from usvi_bench.datasets.sysu import Sysu\n"
        "root = Path(sys.argv[1]); print(check_folder(root).text)\n"
        "try: Sysu(root, expect_counts=False).fingerprint\n"
        "except UsageError as error: print('refused:', error)"
    )
    rights = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    words = [*rights, sys.executable, "-c", code, str(sysu)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    before, _, refused = done.stdout.partition("refused:")
    assert "Permission denied" in refused
    assert str(sysu / name) in refused
    if not name.endswith(".jpg"):  # images are not opened by the description
        assert "Permission denied" in before
