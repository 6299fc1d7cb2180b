"""Who is seen where: sizes, the images of a tree, and the lists beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datasets.synthetic.cameras import Layout
from datasets.synthetic.spec import SyntheticSpec
from engine.seeding import numpy_generator


@dataclass(frozen=True, slots=True)
class Shot:
    """One image of a tree.

    Attributes:
        path: posix path in the tree.
        person: identity number, from 1.
        camera: camera number.
        walk: which walk of the person past that camera.
        step: frame within the walk.
    """

    path: str
    person: int
    camera: int
    walk: int
    step: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A tree before it is rendered.

    Attributes:
        shots: every image.
        lists: text files by posix path.
        height: of the images, in pixels; the width is half of it.
    """

    shots: tuple[Shot, ...]
    lists: dict[str, str]
    height: int


@dataclass(frozen=True, slots=True)
class _SysuSize:
    train: int
    val: int
    test: int
    indoor: int
    """Test identities seen by cameras 1 and 2."""
    train_frames: tuple[int, int, int, int, int, int]
    test_frames: tuple[int, int, int, int, int, int]
    height: int = 128


@dataclass(frozen=True, slots=True)
class _RegdbSize:
    people: int
    folds: int
    height: int = 128


_SYSU = {
    "tiny": _SysuSize(12, 2, 8, 5, (2, 2, 3, 2, 2, 3), (10, 10, 3, 10, 10, 3)),
    "small": _SysuSize(96, 16, 48, 30, (5, 5, 6, 5, 5, 6), (10, 10, 6, 10, 10, 6)),
    "medium": _SysuSize(192, 48, 72, 44, (8, 8, 10, 8, 8, 10), (12, 12, 10, 12, 12, 10)),
    "full": _SysuSize(296, 99, 96, 56, (24, 29, 20, 15, 15, 20), (24, 28, 20, 20, 20, 20), 288),
}
_REGDB = {
    "tiny": _RegdbSize(16, 2),
    "small": _RegdbSize(72, 2),
    "medium": _RegdbSize(206, 4),
    "full": _RegdbSize(412, 10, 288),
}
_REGDB_FRAMES = 10


def plan(layout: Layout, spec: SyntheticSpec) -> Plan:
    """Everything the tree will hold."""
    return _plan_sysu(spec) if layout == "sysu" else _plan_regdb(spec)


def _plan_sysu(spec: SyntheticSpec) -> Plan:
    size = _SYSU[spec.size]
    order = numpy_generator(spec.seed, "sysu", "splits").permutation(size.train + size.val + size.test) + 1
    split = {
        "train": order[: size.train],
        "val": order[size.train : size.train + size.val],
        "test": order[size.train + size.val :],
    }
    single = _one_modality(spec, split["train"])
    shots: list[Shot] = []
    for name, people in split.items():
        for rank, person in enumerate(people.tolist()):
            seen = _seen(name, rank, len(people), size.indoor) - single.get(person, frozenset())
            frames = size.test_frames if name == "test" else size.train_frames
            for camera in sorted(seen):
                shots += _walks(person, camera, frames[camera - 1], f"cam{camera}/{person:04d}/{{:04d}}.jpg")
    lists = {f"exp/{name}_id.txt": _comma_line(people) for name, people in split.items()}
    lists["exp/available_id.txt"] = _comma_line(order)
    return Plan(tuple(sorted(shots, key=lambda shot: shot.path)), lists, size.height)


def _comma_line(people: np.typing.NDArray[np.int64]) -> str:
    return ",".join(map(str, sorted(people.tolist()))) + "\n"


def _seen(split: str, rank: int, count: int, indoor: int) -> frozenset[int]:
    """Cameras that see the person of that rank, in the proportions of SYSU-MM01."""
    if split == "val":
        return frozenset({3, 4, 5})
    if split == "train":
        cameras = {3, 4, 5} | ({1, 2} if rank < 0.66 * count else set()) | ({6} if rank >= 0.32 * count else set())
        return frozenset(cameras - ({4} if rank % 32 == 7 else {5} if rank % 64 == 11 else set()))
    cameras = {3, 4, 5, 6} | ({1, 2} if rank < indoor else set())
    return frozenset(cameras - ({3} if rank % 32 == 7 else {4} if rank % 48 == 11 else set()))


def _one_modality(spec: SyntheticSpec, people: np.typing.NDArray[np.int64]) -> dict[int, frozenset[int]]:
    """Cameras that never see some of the training people: all infrared ones, or all visible ones."""
    chosen = numpy_generator(spec.seed, "mismatch").permutation(people)[: round(spec.mismatch * len(people))]
    lost = (frozenset({3, 6}), frozenset({1, 2, 4, 5}))
    return {int(person): lost[rank % 2] for rank, person in enumerate(chosen)}


def _walks(person: int, camera: int, frames: int, path: str) -> list[Shot]:
    """Frames of one camera, the first half of them from one walk and the rest from another."""
    half = (frames + 1) // 2 if frames > 3 else frames
    return [Shot(path.format(i + 1), person, camera, i // half, i % half) for i in range(frames)]


def _plan_regdb(spec: SyntheticSpec) -> Plan:
    size = _REGDB[spec.size]
    shots: list[Shot] = []
    for person in range(1, size.people + 1):
        for camera, folder, letter in ((1, "Visible", "v"), (2, "Thermal", "t")):
            path = f"{folder}/{person}/person_{letter}_{{:05d}}_{person}.bmp"
            shots += _walks(person, camera, _REGDB_FRAMES, path)
    lists: dict[str, str] = {}
    for fold in range(1, size.folds + 1):
        order = numpy_generator(spec.seed, "regdb", "split", fold).permutation(size.people) + 1
        half = size.people // 2
        lost = _one_modality(spec, order[:half])
        for name, people in (("train", order[:half]), ("test", order[half:])):
            label = {person: rank for rank, person in enumerate(sorted(people.tolist()))}
            for camera, modality in ((1, "visible"), (2, "thermal")):
                gone = {p for p, cameras in lost.items() if name == "train" and (3 if camera == 2 else 1) in cameras}
                lines = [
                    f"{s.path} {label[s.person]}\n"
                    for s in shots
                    if s.camera == camera and s.person in label.keys() - gone
                ]
                lists[f"idx/{name}_{modality}_{fold}.txt"] = "".join(lines)
    return Plan(tuple(sorted(shots, key=lambda shot: shot.path)), lists, size.height)
