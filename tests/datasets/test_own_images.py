"""Own images: folders and tables give the tables that a plain count gives; what is wrong is named."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.datasets.own_trees import SIZE, pixels_of, rows_of, write_folders, write_picture, write_rows
from usvi_bench.cli.main import main
from usvi_bench.core.errors import UsageError
from usvi_bench.datasets.cache import decoded
from usvi_bench.datasets.check import check_folder
from usvi_bench.datasets.folder import FolderData
from usvi_bench.datasets.open import find_any_data, find_data, open_dataset
from usvi_bench.datasets.own_images import camera_pattern

CAMERA = r"_c(\d+)"


def listed(table) -> list[tuple[str, int, int]]:
    return list(zip(table.paths, table.identities.tolist(), table.cameras.tolist(), strict=True))


def read(path: Path, camera: str = "") -> FolderData:
    dataset, _ = open_dataset("folder", str(path), camera=camera)
    assert isinstance(dataset, FolderData)
    return dataset


# ---- folders -----------------------------------------------------------------------------------------------------


def test_a_folder_without_anything_trains_on_all_images(tmp_path: Path) -> None:
    data = read(write_folders(tmp_path, [3, 1], 2))
    names = [f"RGB/{p}_{n}_c{n}.png" for p in (1, 3) for n in (0, 1)]
    assert listed(data.train().visible) == [(name, -1, 0) for name in names]
    assert listed(data.train().infrared) == [(name.replace("RGB", "Thermal"), -1, 0) for name in names]
    assert len(data.test().visible) == len(data.test().infrared) == 0


def test_folders_of_people_and_names_of_files_give_people_and_cameras(tmp_path: Path) -> None:
    write_folders(tmp_path, [3, 10], 2, named=True, split="Train")
    write_folders(tmp_path, [5], 2, named=True, split="test")
    data = read(tmp_path, CAMERA)
    assert [row[1:] for row in listed(data.train().visible)] == [(0, 1), (0, 2), (1, 1), (1, 2)]  # p10 before p3
    assert [row[1:] for row in listed(data.test().infrared)] == [(2, 1), (2, 2)]
    assert data.rows("visible", "query").tolist() == data.rows("visible", "gallery").tolist() == [0, 1]


@pytest.mark.parametrize(
    ("visible", "infrared"), [("Visible", "INFRARED"), ("rgb", "ir"), ("RGB", "NIR"), ("visible", "thermal")]
)
def test_names_of_modalities(tmp_path: Path, visible: str, infrared: str) -> None:
    write_picture(tmp_path / visible / "a.png", 1, 1)
    write_picture(tmp_path / infrared / "b.TIF", 1, 1)
    split = read(tmp_path).train()
    assert (split.visible.paths, split.infrared.paths) == ((f"{visible}/a.png",), (f"{infrared}/b.TIF",))


def test_other_files_are_noted_and_hidden_ones_are_not(tmp_path: Path) -> None:
    write_folders(tmp_path, [1], 1)
    for name in ("RGB/Thumbs.db", "RGB/._1_0_c0.png", "notes.txt"):
        (tmp_path / name).write_text("x")
    assert list(read(tmp_path).notes) == ["1 files are not images and not read: RGB/Thumbs.db"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: write_picture(r / "ir/x.png", 1, 1), "Thermal and ir are both infrared"),
        (lambda r: write_picture(r / "train/rgb/x.png", 1, 1), "RGB is beside the folder of a split"),
        (lambda r: write_picture(r / "RGB/p1/deep/x.png", 1, 1), "RGB/p1/deep is a folder in the folder of a person"),
        (lambda r: (r / "RGB/zz.png").mkdir(), "zz.png is named like an image but is not a file"),
        (lambda r: (r / "RGB/zz.png").symlink_to("/dev/zero"), "zz.png is named like an image but is not a file"),
        (lambda r: [path.unlink() for path in (r / "Thermal").iterdir()], "no infrared image"),
    ],
)
def test_faults_of_folders(tmp_path: Path, change, message: str) -> None:
    change(write_folders(tmp_path, [1], 2))
    with pytest.raises(UsageError, match=message):
        read(tmp_path)


@pytest.mark.parametrize("folder", [False, True])
def test_links_out_of_the_folder_are_refused_and_not_opened(tmp_path: Path, folder: bool) -> None:
    root = write_folders(tmp_path / "data", [1], 2)
    other = write_picture(tmp_path / "other/secret.png", 9, 9)
    if folder:
        (root / "RGB/p9").symlink_to(other.parent)
    else:
        (root / "RGB/p9.png").symlink_to(other)
    with pytest.raises(UsageError, match=r"is a link out of .*/data: copy the images"):
        read(root)
    text, complete = check_folder(root)
    assert not complete
    assert "visible files: width 16 to 16, height 32 to 32; most often 16x32 (2)" in text


def test_a_link_within_the_folder_is_read(tmp_path: Path) -> None:
    root = write_folders(tmp_path, [1], 2)
    (root / "RGB/again.png").symlink_to("1_0_c0.png")
    assert len(read(root).train().visible) == 3


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "is not a regular expression"),
        ("abc", "with a group"),
        ("(a)" * 100, "at most 200 characters"),
        ("_k([0-9])", "in the names of 4 of 4 files, RGB/1_0_c0.png, RGB/1_1_c1.png, Thermal/1_0_c0.png, ...; correct"),
        ("_c(0)", "in the names of 2 of 4 files, RGB/1_1_c1.png, Thermal/1_1_c1.png; correct"),
        ("_k([0-9])?|_c", "finds no camera"),
    ],
)
def test_faults_of_the_camera_pattern(tmp_path: Path, pattern: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(write_folders(tmp_path, [1], 2), pattern)


def test_published_layouts_have_no_camera_pattern(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"data\.camera: SYSU-MM01 has cameras of its own"):
        open_dataset("sysu", "synthetic:size=tiny", camera=CAMERA)
    assert camera_pattern("") is None


# ---- tables ------------------------------------------------------------------------------------------------------


def test_a_table_gives_what_a_plain_count_gives(tmp_path: Path) -> None:
    rng = random.Random(0)
    rows = rows_of(tmp_path, range(4), "train") + rows_of(tmp_path, range(4, 8), "test")
    for row in rows:
        row["identity"] = row["identity"] if rng.random() < 0.7 else ""
        row["camera"] = row["camera"] if rng.random() < 0.7 else ""
        row["split"] = row["split"] if row["split"] == "train" else rng.choice(["query", "gallery", "test"])
    rng.shuffle(rows)
    data = read(write_rows(tmp_path / "list.csv", rows))
    people = sorted({row["identity"] for row in rows} - {""})
    cameras = sorted({row["camera"] for row in rows} - {""})
    for split, own in ((data.train(), ("train",)), (data.test(), ("query", "gallery", "test"))):
        for table in (split.visible, split.infrared):
            expected = []
            for row in sorted(rows, key=lambda row: row["path"]):
                if row["modality"] == table.modality and row["split"] in own:
                    person = people.index(row["identity"]) if row["identity"] else -1
                    expected.append((row["path"], person, cameras.index(row["camera"]) + 1 if row["camera"] else 0))
            assert listed(table) == expected
            for role in ("query", "gallery") if own != ("train",) else ():
                names = [table.paths[index] for index in data.rows(table.modality, role)]
                chosen = [row["path"] for row in rows if row["split"] in (role, "test")]
                assert names == sorted(set(chosen) & set(table.paths))


def test_boxes_are_cut_out_of_the_upright_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = pixels_of(1, 1, "visible")
    (tmp_path / "a").mkdir()
    Image.fromarray(np.rot90(pixels)).save(tmp_path / "a/turned.png", exif=exif)
    write_picture(tmp_path / "a/plain.png", 2, 1, "infrared")
    boxes = [(0, 0, 8, 16), (4, 8, 16, 32), ("", "", "", "")]
    names = ("x_1", "y_1", "x_2", "y_2")
    rows = [{"path": "a/turned.png", "modality": "visible", **dict(zip(names, box, strict=True))} for box in boxes]
    rows.append({**rows[2], "path": "a/plain.png", "modality": "thermal"})
    table = read(write_rows(tmp_path / "list.csv", rows)).train().visible
    assert table.paths == ("a/turned.png",) * 3
    assert len(set(table.names)) == 3
    assert table.boxes is not None
    assert table.boxes.tolist() == [[-1, -1, -1, -1], [0, 0, 8, 16], [4, 8, 16, 32]]
    assert table.take(np.array([2])).boxes.tolist() == [[4, 8, 16, 32]]
    whole, first, second = decoded(table, *SIZE, "bicubic", "x")
    assert np.array_equal(whole, pixels)
    for found, cut in ((first, pixels[0:16, 0:8]), (second, pixels[8:32, 4:16])):
        assert np.array_equal(found, np.asarray(Image.fromarray(cut).resize(SIZE[::-1], Image.Resampling.BICUBIC)))


@pytest.mark.parametrize("box", [(0, 0, 17, 32), (0, 20, 16, 33), (3, 3, 6, 20)])
def test_a_box_outside_of_the_image_stops_a_run_and_is_listed(tmp_path: Path, box: tuple[int, ...]) -> None:
    rows = rows_of(tmp_path, [1], "train", 1)
    rows[0] |= dict(zip(("x_1", "y_1", "x_2", "y_2"), box, strict=True))
    rows[1] |= dict.fromkeys(("x_1", "y_1", "x_2", "y_2"), "")
    path = write_rows(tmp_path / "list.csv", rows)
    with pytest.raises(UsageError, match=r"cannot decode .*1-0.png: its box from .* is not inside of its 16x32 pixels"):
        decoded(read(path).train().visible, 8, 4, "bicubic", "x")
    text, complete = check_folder(path)
    assert not complete
    assert "its box from" in text


HEADER = "path,modality,identity,split\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no column 'path'"),
        ("path,mod\na,b\n", "has no column 'modality'"),
        ("path;modality\na;visible\n", "separated by ';'; write them with commas"),
        ("path,modality,path\n", "column 'path' twice"),
        ("path,modality,x_1\n", "boxes but no column 'y_1'"),
        (HEADER, "the table has no rows"),
        (HEADER + "a.png,visible\n", "line 2: 2 cells, but 4 columns"),
        (HEADER + "a.png,visible,p,train,x\n", "line 2: 5 cells, but 4 columns"),
        (HEADER + '"a.png,visible,p,train\n', "line 2: .*write the table as CSV"),
        (HEADER + "a.png,blue,p,train\n", "row 1: modality: 'blue': choose visible or infrared"),
        (HEADER + "a.png,visible,p,trian\n", "row 1: split: 'trian': choose one of"),
        (HEADER + "../a.png,visible,p,train\n", "row 1: path: '../a.png' is not a path below"),
        (HEADER + "..\\a.png,visible,p,train\n", "is not a path below"),
        (HEADER + "/etc/passwd,visible,p,train\n", "is not a path below"),
        (HEADER + "C:\\a.png,visible,p,train\n", "is not a path below"),
        (HEADER + ",visible,p,train\n", "path: '' is not a printable path"),
        (HEADER + "a\x00.png,visible,p,train\n", "path: .* is not printable text"),
        (HEADER + "none.png,visible,p,train\n", "no image none.png"),
        (HEADER + "v.png,visible,p,train\nv.png,visible,p,train\n", "v.png is listed 2 times"),
        (HEADER + "v.png,visible,p,train\n./v.png,infrared,q,train\n", "v.png is listed 2 times"),
        (HEADER + "v.png,visible,p,train\ni.png,infrared,q,\n", "1 rows have no split"),
        (HEADER + "v.png,visible,p,train\ni.png,infrared,p,test\n", "person p is in train and in test"),
        ("path,modality,x_1,y_1,x_2,y_2\nv.png,visible,5,0,5,9\n", "box: 5, 0, 5, 9: give x_1 < x_2"),
        ("path,modality,x_1,y_1,x_2,y_2\nv.png,visible,1,,5,9\n", "box: "),
        ("path,modality,x_1,y_1,x_2,y_2\nv.png,visible,-1,0,5,9\n", "box: "),
        ("path,modality,x_1,y_1,x_2,y_2\nv.png,visible,nan,0,5,9\n", "box: "),
    ],
)
def test_faults_of_tables(tmp_path: Path, content: str, message: str) -> None:
    write_picture(tmp_path / "v.png", 1, 1)
    write_picture(tmp_path / "i.png", 1, 1, "infrared")
    (tmp_path / "list.csv").write_text(content)
    with pytest.raises(UsageError, match=message) as caught:
        read(tmp_path / "list.csv")
    assert len(str(caught.value).splitlines()) <= 2


def test_quotes_crlf_bom_and_other_columns_are_read(tmp_path: Path) -> None:
    write_picture(tmp_path / "a, b.png", 1, 1)
    write_picture(tmp_path / "c/i.png", 1, 1, "infrared")
    text = '\ufeffpath,modality,note\r\n"a, b.png", RGB ,=1+1\r\n\r\nc\\i.png,IR,\r\n'
    (tmp_path / "list.CSV").write_bytes(text.encode())
    data = read(tmp_path / "list.CSV")
    assert data.train().visible.paths + data.train().infrared.paths == ("a, b.png", "c/i.png")
    assert list(data.notes) == ["list.CSV: columns that are not read: note"]


def test_cameras_are_given_once(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "list.csv", rows_of(tmp_path, [1], "train"))
    with pytest.raises(UsageError, match=r"has a column 'camera': leave out data\.camera"):
        read(path, "([0-9])")


def test_parquet_gives_the_tables_of_csv(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = rows_of(tmp_path, range(3), "train")
    rows[0]["identity"] = None  # type: ignore[assignment]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "list.parquet")
    one, other = read(write_rows(tmp_path / "list.csv", rows)), read(tmp_path / "list.parquet")
    assert listed(one.train().visible) == listed(other.train().visible)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(UsageError, match=r"cannot read .*bad\.parquet as Parquet"):
        read(tmp_path / "bad.parquet")


def test_parquet_without_its_reader_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "list.parquet").write_bytes(b"PAR1")
    with pytest.raises(UsageError, match=r"pip install 'usvi-bench\[parquet\]'"):
        read(tmp_path / "list.parquet")


# ---- fingerprint, options, description -----------------------------------------------------------------------------


def test_the_fingerprint_follows_names_content_and_table(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "a", [1, 2], "train", 1)
    path = write_rows(tmp_path / "a/list.csv", rows)
    first = read(path).fingerprint
    assert first == read(path).fingerprint
    write_rows(path, [{**row, "split": "test"} for row in rows])
    second = read(path).fingerprint
    write_picture(tmp_path / "a" / str(rows[0]["path"]), 7, 7)
    assert len({first, second, read(path).fingerprint, read(write_folders(tmp_path / "b", [1])).fingerprint}) == 4


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("auto", "--data is missing: give the folder or the table"),
        ("synthetic", "no synthetic people in the layout of own images"),
        ("nowhere", "--data nowhere: no such folder or table; correct the path"),
        ("/dev/zero", "neither a folder"),
        ("/etc", "neither a folder"),
    ],
)
def test_faults_of_the_option(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_data("folder", spec).open()


@pytest.mark.parametrize(
    ("kept", "given", "message"),
    [
        ("RGB", ".", "it has RGB, but no infrared images; put them into a folder infrared"),
        ("ir", ".", "it has ir, but no visible images; put them into a folder visible"),
        ("test/ir", ".", "it has test/ir, but no visible images; put them into a folder test/visible"),
        ("color+IR", ".", "it has IR, but no visible images; rename color to visible; see docs/own_data.md"),
        ("test/ir+test/Colour", ".", "it has test/ir, but no visible images; rename test/Colour to test/visible; see"),
        ("rgb+infra", ".", "it has rgb, but no infrared images; rename infra to infrared; see docs/own_data.md"),
        ("vis+infra", ".", "rename vis to visible and infra to infrared; see docs/own_data.md"),
        ("RGB", "RGB", "it is the folder of one modality; give the folder above it, "),
    ],
)
def test_what_a_folder_lacks_is_named(tmp_path: Path, kept: str, given: str, message: str) -> None:
    for each in kept.split("+"):
        write_picture(tmp_path / each / "1.png", 1, 1)
    folder = str(tmp_path / given)
    for find in (lambda: find_data("folder", folder), lambda: find_any_data(folder, "--train-data")):
        with pytest.raises(UsageError, match=f": {message}"):
            find()
    with pytest.raises(UsageError, match=f"holds no known data set(?s:.*)  {message}"):
        check_folder(Path(folder))


def test_a_named_pipe_is_no_table(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "list.csv")
    with pytest.raises(UsageError, match="neither a folder"):
        find_data("folder", str(tmp_path / "list.csv"))


def test_check_data_describes_files_people_and_what_is_possible(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, range(3), "train") + rows_of(tmp_path, [5], "test")
    Image.fromarray(np.full((40, 20), 7000, np.uint16)).save(tmp_path / str(rows[12]["path"]))
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(pixels_of(0, 1, "visible")).save(tmp_path / str(rows[1]["path"]), exif=exif)
    write_picture(tmp_path / str(rows[2]["path"]), 0, 0)  # the picture of the first row
    text, complete = check_folder(write_rows(tmp_path / "list.csv", rows))
    assert complete
    for line in (
        "train          3        12        12",
        "test           1         4         4",
        "visible: 4 people, 0 images of unknown people; 2 cameras: v0 (8), v1 (8)",
        "visible files: width 16 to 16, height 32 to 32; most often 16x32 (16)",
        "infrared files: width 16 to 20, height 32 to 40; most often 16x32 (15), 20x40 (1)",
        "infrared kinds: PNG RGB (15), PNG I;16 (1)",
        "visible: 1 files are rotated by EXIF",
        "infrared: 1 files have more than 8 bits, with values from 7000 to 7000",
        "duplicates: 1 files have the content of another one, first visible/train-0-0.png and visible/train-0-2.png",
        "training: possible",
        "scores by folder_i2v: 1 people",
    ):
        assert line in text
    (tmp_path / str(rows[3]["path"])).write_bytes(b"no picture")
    text, complete = check_folder(tmp_path / "list.csv")
    assert not complete
    assert "train-0-3.png: cannot identify image file" in text


def test_check_data_tells_regdb_from_own_folders(tmp_path: Path) -> None:
    for word in ("Visible", "Thermal"):
        write_picture(tmp_path / word / "1.png", 1, 1)
    assert "own images in folders" in check_folder(tmp_path).text
    (tmp_path / "idx").mkdir()
    assert "RegDB layout" in check_folder(tmp_path).text
    with pytest.raises(UsageError, match="holds no own images; leave out --camera-pattern"):
        check_folder(tmp_path, camera="(a)")


def test_the_contact_sheet_is_drawn_only_on_demand(tmp_path: Path) -> None:
    root, sheet = write_folders(tmp_path / "data", range(20)), tmp_path / "sheet.png"
    assert "It shows" not in check_folder(root).text
    text, _ = check_folder(root, sheet=sheet)
    assert "72 images. It shows real people" in text
    drawn = np.asarray(Image.open(sheet))
    expected = np.asarray(Image.open(root / "RGB/0_0_c0.png"))
    assert np.array_equal(drawn[4 : 4 + SIZE[0], 4 : 4 + SIZE[1]], expected)
    with pytest.raises(UsageError, match=r"give the name of a \.png file"):
        check_folder(root, sheet=tmp_path / "sheet.txt")


def test_the_contact_sheet_shows_the_asked_range_of_deep_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, sheet = write_folders(tmp_path / "data", range(2)), tmp_path / "sheet.png"
    deep = np.full(SIZE, 300, np.uint16)
    deep[: SIZE[0] // 2] = 350
    Image.fromarray(deep).save(root / "Thermal/0_0_c0.png")
    words = ["--check-data", str(root), "--contact-sheet", str(sheet), "--set", "data.depth_range=300:400"]
    assert main(words) == 0
    assert "values from 300 to 350; scaled by data.depth_range=300:400" in capsys.readouterr().out
    left, top = 4, 4 + 3 * (128 + 4)  # the first infrared tile
    shown = np.asarray(Image.open(sheet))[top : top + SIZE[0], left : left + SIZE[1]]
    assert set(shown.ravel().tolist()) == {0, 128}
    assert main([*words[:2], "--set", "train.epochs=2"]) == 2
    assert "--set train.epochs does not apply to --check-data" in capsys.readouterr().err
