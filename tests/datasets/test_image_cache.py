from __future__ import annotations

import multiprocessing
import resource
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.datasets.trees import write_noise
from usvi_bench.core.errors import StorageError, UsageError
from usvi_bench.core.host import cache_folder
from usvi_bench.datasets.cache import BLOCK, decoded
from usvi_bench.datasets.tree import table_of


@pytest.fixture
def table(tmp_path):
    for number in range(5):
        write_noise(tmp_path / "images" / f"{number}.jpg", number)
    return table_of([(f"{number}.jpg", number, 1) for number in range(5)], "visible", tmp_path / "images")


def kept(folder=None):
    return sorted(path.name for path in ((folder or cache_folder()) / "images").glob("*"))


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("USVI_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("USVI_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "usvi-bench"


@pytest.mark.parametrize(
    ("name", "resampling"),
    [
        ("bicubic", Image.Resampling.BICUBIC),
        ("bilinear", Image.Resampling.BILINEAR),
        ("lanczos", Image.Resampling.LANCZOS),
    ],
)
def test_pixels_are_pillows(table, name, resampling):
    pixels = decoded(table, 16, 8, name, "print")
    expected = [np.asarray(Image.open(table.root / p).convert("RGB").resize((8, 16), resampling)) for p in table.paths]
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, np.stack(expected))


def test_grey_images_become_three_channels(tmp_path):
    Image.fromarray(np.arange(96, dtype=np.uint8).reshape(12, 8)).save(tmp_path / "grey.png")
    pixels = decoded(table_of([("grey.png", 0, 3)], "infrared", tmp_path), 12, 8, "bicubic", "print")
    assert pixels.shape == (1, 12, 8, 3)
    assert (pixels[..., 0] == pixels[..., 2]).all()


def test_the_second_call_maps_the_file_and_decodes_nothing(table):
    first = decoded(table, 16, 8, "bicubic", "print")
    for path in table.paths:
        (table.root / path).unlink()
    second = decoded(table, 16, 8, "bicubic", "print")
    assert isinstance(second, np.memmap)
    assert not second.flags.writeable
    assert np.array_equal(first, second)


def test_every_part_of_the_key_counts(table, tmp_path):
    decoded(table, 16, 8, "bicubic", "print")
    decoded(table, 16, 8, "lanczos", "print")
    decoded(table, 8, 8, "bicubic", "print")
    decoded(table, 16, 8, "bicubic", "other")
    other = table_of([("0.jpg", 0, 1), ("3.jpg", 0, 1)], "visible", table.root)
    decoded(other, 16, 8, "bicubic", "print")
    assert len(kept()) == 5
    decoded(table, 16, 8, "bicubic", "print", cache=tmp_path / "mine")
    assert len(kept(tmp_path / "mine")) == 1


def test_a_damaged_cache_file_is_made_again(table):
    first = np.array(decoded(table, 16, 8, "bicubic", "print"))
    path = cache_folder() / "images" / kept()[0]
    for content in (b"", path.read_bytes()[:200], b"not an array at all"):
        path.write_bytes(content)
        assert np.array_equal(decoded(table, 16, 8, "bicubic", "print"), first)


def test_more_images_than_a_block_keep_their_order(tmp_path):
    for value in range(7):
        Image.new("RGB", (4, 4), (value, value, value)).save(tmp_path / f"{value}.png")
    names = [f"{position % 7}.png" for position in range(BLOCK + 5)]
    table = table_of([], "visible", tmp_path)
    table = type(table)("visible", tmp_path, tuple(names), np.zeros(len(names), int), np.zeros(len(names), int))
    pixels = decoded(table, 2, 2, "bicubic", "print")
    assert np.array_equal(pixels[:, 0, 0, 0], np.arange(BLOCK + 5) % 7)


def test_a_truncated_image_is_named_and_nothing_is_left(table):
    path = table.root / "3.jpg"
    path.write_bytes(path.read_bytes()[:-80])
    with pytest.raises(UsageError, match=r"cannot decode .*3\.jpg: .*truncated"):
        decoded(table, 16, 8, "bicubic", "print")
    assert kept() == []


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_other_undecodable_images_are_named(table, content):
    path = table.root / "2.jpg"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"cannot decode .*2\.jpg") as caught:
        decoded(table, 16, 8, "bicubic", "print")
    assert str(caught.value).count("\n") < 3
    assert kept() == []


def test_a_full_disk_is_reported_and_leaves_no_file(table):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(StorageError, match=r"cannot write .*: File too large; free some space or set USVI_CACHE"):
            decoded(table, 64, 32, "bicubic", "print")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert kept() == []


def test_a_cache_below_a_regular_file_is_reported(table, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot write .*set USVI_CACHE"):
        decoded(table, 16, 8, "bicubic", "print", cache=tmp_path / "file" / "cache")


def test_an_unknown_filter_is_refused(table):
    with pytest.raises(UsageError, match="unknown resize filter 'nearest'"):
        decoded(table, 16, 8, "nearest", "print")  # type: ignore[arg-type]


def send_sum(table, line):
    line.put(int(decoded(table, 512, 256, "bicubic", "print").sum()))


def test_two_processes_at_once_agree(table):
    context = multiprocessing.get_context("fork")
    line = context.Queue()
    jobs = [context.Process(target=send_sum, args=(table, line)) for _ in range(2)]
    for job in jobs:
        job.start()
    answers = {line.get(timeout=30) for _ in jobs}
    for job in jobs:
        job.join()
    assert answers == {int(decoded(table, 512, 256, "bicubic", "print").sum())}
    assert len(kept()) == 1
