"""Features files: what is written is read, and everything that is wrong in a file of anybody is named."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from usvi_bench.core import npz
from usvi_bench.core.errors import UsageError
from usvi_bench.datasets.base import ImageTable
from usvi_bench.engine.feature_file import FeatureFile, check_covers, read_features, write_features

ABOUT = {"schema": 1, "feature": "bn+flip", "similarity": "dot"}
Arrays = dict[str, Any]


def make(count: int = 4, **changes: Any) -> FeatureFile:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((count, 3))
    given = {
        "features": (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32),
        "paths": tuple(f"cam{1 + i % 2}/000{i // 2}.jpg" for i in range(count)),
        "modality": np.array([i % 2 for i in range(count)], np.uint8),
        "cameras": np.array([1 + i % 2 for i in range(count)]),
        "identities": np.array([-1, *range(1, count)]),
        "about": ABOUT,
    }
    return FeatureFile(**{**given, **changes})


def arrays() -> Arrays:
    content = make()
    found = {name: getattr(content, name) for name in ("features", "modality", "cameras", "identities")}
    return {**found, "paths": np.array(content.paths), "about": np.array(json.dumps(ABOUT))}


def test_what_is_written_is_read_and_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    boxes = np.array([[0, 0, 4, 9]] * 4, np.int32)
    for name, content in (("a.npz", make()), ("b.npz", make()), ("c.npz", make(boxes=boxes))):
        write_features(tmp_path / name, content)
    found = read_features(tmp_path / "c.npz")
    for name in ("features", "modality", "cameras", "identities"):
        assert np.array_equal(getattr(found, name), getattr(make(), name))
        assert getattr(found, name).dtype == getattr(make(), name).dtype
    assert (found.paths, found.about, found.boxes.tolist()) == (make().paths, ABOUT, boxes.tolist())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert len(found.sha256) == 64


def test_a_file_that_numpy_wrote_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", **arrays())
    assert read_features(tmp_path / "f.npz").paths == make().paths
    fortran = {**arrays(), "features": np.asfortranarray(make().features)}
    np.savez(tmp_path / "g.npz", **fortran)
    assert np.array_equal(read_features(tmp_path / "g.npz").features, make().features)


def changed(name: str, change: Callable[[Any], Any]) -> Callable[[Arrays], Arrays]:
    return lambda given: {**given, name: change(given[name])}


def about(**entries: Any) -> Callable[[Arrays], Arrays]:
    return lambda given: {**given, "about": np.array(json.dumps({**ABOUT, **entries}))}


def set_row(row: int, value: Any) -> Callable[[Any], Any]:
    def change(values: Any) -> Any:
        copy = values.copy()
        copy[row] = value
        return copy

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {k: v for k, v in a.items() if k != "cameras"}, "the array 'cameras' is missing"),
        (lambda a: {**a, "scores": a["cameras"]}, "unknown array 'scores.npy'"),
        (
            lambda a: {k: v for k, v in a.items() if k not in ("cameras", "about")},
            "the arrays 'about', 'cameras' are missing",
        ),
        (
            changed("features", lambda v: v.astype(np.float64)),
            r"is float64, expected float32: convert it with features.astype\('float32'\)",
        ),
        (changed("features", lambda v: v.astype(">f4")), "'features' is >f4, expected float32"),
        (changed("identities", lambda v: v.astype(np.int32)), "'identities' is int32, expected int64"),
        (changed("paths", lambda v: v.astype("S")), r"'paths' is \|S\d+, expected str"),
        (changed("paths", lambda v: v.astype(object)), "is object, expected str"),
        (changed("features", lambda v: v[:3]), r"features has the shape \[3, 3\], expected \[4, D\] for 4 paths"),
        (changed("features", lambda v: v[:, :0]), "there is no feature"),
        (changed("features", lambda v: v[:, 0]), r"features has the shape \[4\]"),
        (changed("modality", lambda v: v[:, None]), r"modality has the shape \[4, 1\]"),
        (changed("features", set_row(2, np.nan)), r"row 2 of 4 \(cam1/0001.jpg\) holds NaN or infinite values"),
        (changed("features", set_row(1, np.inf)), "row 1 of 4 .* holds NaN or infinite values"),
        (changed("features", lambda v: v * np.float32(1.01)), "row 0 of 4 .* does not have the length 1; normalise"),
        (changed("features", set_row(3, 0)), "row 3 of 4 .* does not have the length 1"),
        (changed("modality", set_row(0, 2)), "modality 2; write 0 for visible"),
        (changed("cameras", set_row(0, -2)), "cameras has -2; write -1"),
        (changed("paths", set_row(2, "cam1/0000.jpg")), r"1 images occur twice \(cam1/0000.jpg\)"),
        (changed("paths", set_row(2, "/etc/passwd")), "'/etc/passwd' is not a path below the data set"),
        (changed("paths", set_row(2, "../a.jpg")), "'../a.jpg' is not a path below"),
        (changed("paths", set_row(2, "a//b.jpg")), "'a//b.jpg' is not a path below"),
        (changed("paths", set_row(2, "")), "'' is not a path below"),
        (changed("paths", set_row(2, "a\x1b[2J")), "is not a path below"),
        (changed("about", lambda v: np.array("{")), "about or paths: "),
        (changed("about", lambda v: np.array("[]")), "about: expected a JSON object"),
        (changed("about", lambda v: np.array(['{"schema": 1}'])), "about must be one text"),
        (about(schema=2), r"about.schema: expected 1, found 2"),
        (about(similarity="cosine"), "about.similarity: expected 'dot', found cosine"),
        (about(feature=""), "about.feature: missing"),
        (about(heigth=3), "about: unknown entry 'heigth': did you mean height"),
        (about(height="3"), "about.height: expected int, found 3"),
        (lambda a: {**a, "boxes": np.zeros((3, 4), np.int32)}, r"boxes has the shape \[3, 4\]"),
    ],
)
def test_every_wrong_file_is_named(tmp_path: Path, change: Callable[[Arrays], Arrays], message: str) -> None:
    path = tmp_path / "f.npz"
    np.savez(path, **change(arrays()))
    with pytest.raises(UsageError, match=message) as error:
        read_features(path)
    assert str(error.value).startswith(f"{path}: ")


def header(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return file.getvalue()


def archived(compression: int, features: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("features.npy", features)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a readable .npz file"),
        (b"PK\x03\x04 torn", "not a readable .npz file"),
        (archived(zipfile.ZIP_STORED, header((10**12, 2048)) + bytes(8)), "has 8 bytes, which its shape"),
        (archived(zipfile.ZIP_STORED, header((-1,)) + bytes(8)), "'features' has 8 bytes"),
        (archived(zipfile.ZIP_STORED, b"\x93NUMPY\x03\x00"), r"has the format \(3, 0\)"),
        (archived(zipfile.ZIP_STORED, b"text"), "not a readable .npz file"),
        (archived(zipfile.ZIP_DEFLATED, bytes(10**7)), "the array 'features' is compressed"),
    ],
)
def test_damaged_and_lying_archives_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "f.npz").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_features(tmp_path / "f.npz")


@pytest.mark.parametrize(
    ("name", "end"), [("f.npy", " converts .npy files"), ("f.MAT", " converts .mat files"), ("f.npz", "")]
)
def test_files_of_other_code_are_explained(tmp_path: Path, name: str, end: str) -> None:
    with (tmp_path / name).open("wb") as file:
        np.savez(file, query_feat=np.zeros(3))
    with pytest.raises(UsageError, match=f"features, paths, modality, cameras, .*docs/external_models.md{end}"):
        read_features(tmp_path / name)
    with pytest.raises(UsageError, match=r"no such file; give a .npz file$"):
        read_features(tmp_path / "none.npy")


def test_a_file_larger_than_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f.npz"
    write_features(path, make())
    monkeypatch.setattr(npz, "memory_available", lambda: path.stat().st_size * npz.COPIES - 1)
    with pytest.raises(UsageError, match=r"reading it needs 0\.0 GiB of memory, .*; split it by modality or fold"):
        read_features(path)


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", **arrays())
    raw = bytearray((tmp_path / "f.npz").read_bytes())
    at = raw.index(make().features.tobytes())
    raw[at] ^= 1
    (tmp_path / "f.npz").write_bytes(raw)
    with pytest.raises(UsageError, match="Bad CRC"):
        read_features(tmp_path / "f.npz")


def table(modality: str, rows: list[int], identities: list[int]) -> ImageTable:
    paths = tuple(make().paths[row] for row in rows)
    cameras = make().cameras[rows]
    return ImageTable(modality, Path(), paths, np.array(identities), cameras)  # type: ignore[arg-type]


def test_a_file_covers_the_images_that_are_scored() -> None:
    visible, infrared = table("visible", [2, 0], [2, 0]), table("infrared", [1, 3], [1, 3])
    content, path = make(), Path("f.npz")
    check_covers(content, [visible, infrared], [], "print", path)
    assert np.array_equal(content.of_table(visible), content.features[[2, 0]])
    for scored, known, other, message in (
        ([visible], [], content, r"2 images are not in the data set \(cam2/0000.jpg, cam2/0001.jpg\)"),
        ([visible], [infrared], replace(content, about={"data_fingerprint": "x"}), "their fingerprint is x, not print"),
        ([replace(visible, paths=("a", "b"))], [], content, r"2 of 2 visible test images are missing \(a, b\)"),
        ([replace(visible, modality="infrared")], [], content, "2 of 2 infrared test images are missing"),
        ([replace(visible, identities=np.array([5, 0]))], [infrared], content, "has the identity 2, in the data set 5"),
        ([replace(visible, cameras=np.array([1, 3]))], [infrared], content, "has the camera 1, in the data set 3"),
        ([visible], [infrared], replace(content, boxes=np.zeros((4, 4))), "2 of 2 visible test images are missing"),
    ):
        with pytest.raises(UsageError, match=message):
            check_covers(other, scored, known, "print", path)
    check_covers(content, [visible], [infrared], "print", path)


def test_images_are_found_by_path_and_box() -> None:
    boxes = np.array([[0, 0, 4, 9], [-1] * 4, [4, 0, 8, 9], [-1] * 4], np.int32)
    content = make(boxes=boxes, paths=("a.jpg", "b.jpg", "a.jpg", "c.jpg"))
    people = ImageTable("visible", Path(), ("a.jpg", "a.jpg"), np.array([2, -1]), np.array([1, 1]), boxes=boxes[[2, 0]])
    whole = ImageTable("infrared", Path(), ("c.jpg", "b.jpg"), np.array([3, 1]), np.array([2, 2]))
    check_covers(content, [people, whole], [], "print", Path("f.npz"))
    assert np.array_equal(content.of_table(people), content.features[[2, 0]])
    assert np.array_equal(content.of_table(whole), content.features[[3, 1]])
    other = replace(people, boxes=np.array([[4, 0, 8, 9], [0, 0, 4, 8]], np.int32))
    with pytest.raises(UsageError, match=r"1 of 2 visible test images are missing \(a\.jpg \(0, 0, 4, 8\)\)"):
        check_covers(content, [other, whole], [people], "print", Path("f.npz"))
