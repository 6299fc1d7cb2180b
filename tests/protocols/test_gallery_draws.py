from __future__ import annotations

import hashlib
import random

import numpy as np
import pytest
import scipy.io

from tests.protocols.scenes import Scene, llcm_parity_scene, published_counts, small_scene, write_permutations
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import PROTOCOLS
from usvi_bench.protocols.draws import official_gallery, read_permutations, seeded_gallery

ALL, INDOOR = (1, 2, 4, 5), (1, 2)
ALL_HASHES = [
    "f5530c9d4a9dba1c",
    "9f4ef7a4ffe9f1e8",
    "274c1d2fc9f9432e",
    "7bf785ccf939ad2a",
    "c32ce968e3442c7e",
    "ca84176553f57a14",
    "babaf8bfb7ab45c7",
    "bc5c2266bfef217a",
    "3cf7e47c91a795d5",
    "106525b7d39631c0",
]

LLCM_HASHES = {
    "visible": "ab8ce67104b80445 5e981f0c34436c23 4bd312bea505f235 0ff38b6c2014a73c d865307100e8c81b "
    "433227b05ff992be dac6acbe671f8e76 8d02ca8ca0104e07 bc65ce6045221eef 1de5163d8706716f",
    "infrared": "ccc27a0695545232 27d25602be1367fe fe4adbebcef87f83 7592e86767b68668 3ed818b0024d1d50 "
    "37ceff8cf3b85ae6 5cf8c30a55c0df02 93a7393f1f4b1672 3cd383fb2308f338 d9a67c39acae6400",
}
"""Draws of ZYK100/LLCM @886e27c on the people of :func:`llcm_parity_scene`, trials 0 to 9."""


@pytest.fixture(scope="module")
def published():
    return Scene(published_counts()).split.visible


def named(table, rows):
    """Return (identity, camera, zero-based frame) of each row."""
    frames = [int(table.paths[row].rpartition("/")[2].removesuffix(".jpg")) - 1 for row in rows]
    return list(zip(table.identities[rows].tolist(), table.cameras[rows].tolist(), frames, strict=True))


def digest(draws):
    return hashlib.sha256(",".join(":".join(map(str, draw)) for draw in draws).encode()).hexdigest()[:16]


def test_the_counts_are_the_published_ones():
    counts = published_counts()
    by_camera = [sum(n for (_, camera), n in counts.items() if camera == c) for c in range(1, 7)]
    assert by_camera == [1374, 1565, 1883, 1918, 1918, 1920]
    assert len({identity for identity, _ in counts}) == 96


@pytest.mark.parametrize("trial", range(10))
def test_all_search_draws_are_those_of_the_agw_family(published, trial):
    draws = named(published, seeded_gallery(published, ALL, trial))
    assert len(draws) == 301
    assert digest(draws) == ALL_HASHES[trial]


@pytest.mark.parametrize(("trial", "expected"), [(0, "7a01b62ad1561aa3"), (9, "0b386d7aa95b1fb0")])
def test_indoor_draws_are_those_of_the_agw_family(published, trial, expected):
    draws = named(published, seeded_gallery(published, INDOOR, trial))
    assert len(draws) == 112
    assert digest(draws) == expected


def test_the_first_draws(published):
    draws = named(published, seeded_gallery(published, ALL, 0))[:4]
    assert draws == [(6, 1, 24), (6, 2, 24), (6, 4, 13), (6, 5, 1)]


def test_draws_equal_a_loop_over_sorted_files():
    table = small_scene().split.visible
    for trial in range(3):
        generator, expected = random.Random(trial), []
        for identity in sorted({f"{i:04d}" for i in table.identities}):
            for camera in ALL:
                files = sorted(path for path in table.paths if path.startswith(f"cam{camera}/{identity}/"))
                if files:
                    expected.append(generator.choice(files))
        assert [table.paths[row] for row in seeded_gallery(table, ALL, trial)] == expected


def test_multi_shot_takes_ten_different_images_of_each_person_and_camera(published):
    rows = seeded_gallery(published, ALL, 0, shots=10)
    assert len(rows) == len(set(rows)) == 3010
    assert len(seeded_gallery(published, INDOOR, 0, shots=10)) == 1120
    assert not np.array_equal(rows, seeded_gallery(published, ALL, 1, shots=10))
    np.testing.assert_array_equal(rows, seeded_gallery(published, ALL, 0, shots=10))


def test_multi_shot_takes_what_there_is():
    table = small_scene().split.visible
    assert sorted(seeded_gallery(table, ALL, 0, shots=10)) == list(range(len(table)))


@pytest.mark.parametrize("shots", [1, 2])
def test_official_galleries_follow_the_file(tmp_path, shots):
    table = small_scene().split.visible
    orders = write_permutations(tmp_path / "rand_perm_cam.mat", table)
    permutations = read_permutations(tmp_path / "rand_perm_cam.mat")
    for trial in (0, 9):
        expected = [
            (identity, camera, int(index) - 1)
            for identity in range(1, 7)
            for camera in ALL
            if orders[identity, camera].size
            for index in orders[identity, camera][trial][:shots]
        ]
        assert named(table, official_gallery(table, ALL, permutations, trial, shots)) == expected


def test_a_file_of_other_images_is_refused(tmp_path):
    table = small_scene().split.visible
    write_permutations(tmp_path / "rand_perm_cam.mat", table)
    permutations = read_permutations(tmp_path / "rand_perm_cam.mat")
    more = Scene({(6, 5): 9}).split.visible
    with pytest.raises(UsageError, match=r"orders 4 images of id 6, cam5, where the data set has 9"):
        official_gallery(more, ALL, permutations, 0)
    with pytest.raises(UsageError, match="no trial 0 for id 7, cam1"):
        official_gallery(Scene({(7, 1): 2}).split.visible, ALL, permutations, 0)
    with pytest.raises(UsageError, match="no trial 10 for id 1, cam1"):
        official_gallery(table, ALL, permutations, 10)


def test_a_missing_file_says_where_to_get_it(tmp_path):
    with pytest.raises(UsageError, match=r"wuancong/SYSU-MM01.*protocol\.gallery=seeded"):
        read_permutations(tmp_path / "rand_perm_cam.mat")


@pytest.mark.parametrize("content", ["garbage", "other", "empty"])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "rand_perm_cam.mat"
    if content == "other":
        scipy.io.savemat(path, {"id": np.arange(3)})
    else:
        path.write_bytes(b"" if content == "empty" else b"no matlab file at all" * 20)
    with pytest.raises(UsageError, match="not the permutation file"):
        read_permutations(path)


@pytest.mark.parametrize(
    ("protocol", "side", "images", "size", "first"),
    [
        ("llcm_i2v", "visible", 1891, 270, [(1, 1, 6), (1, 2, 3), (1, 4, 0), (1, 5, 1)]),
        ("llcm_v2i", "infrared", 1644, 240, [(1, 1, 3), (1, 4, 3), (1, 5, 0), (1, 7, 1)]),
    ],
)
def test_llcm_draws_are_those_of_its_public_code(protocol, side, images, size, first):
    data = llcm_parity_scene()
    query, pool = PROTOCOLS.get(protocol)().tables(data, 1)
    assert (pool.modality, len(pool)) == (side, images)
    assert query.modality != side
    draws = [named(pool, rows) for rows in PROTOCOLS.get(protocol)().galleries(data, 1)]
    assert draws[0][:4] == first
    assert [len(drawn) for drawn in draws] == [size] * 10
    assert [digest(drawn) for drawn in draws] == LLCM_HASHES[side].split()
