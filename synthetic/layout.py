"""Images and id lists of a tree, by size: which camera sees which person how often."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.types import Modality
from usvi_bench.synthetic.cameras import LLCM, NIGHT, Layout
from usvi_bench.synthetic.draws import stream
from usvi_bench.synthetic.spec import SyntheticSpec
from usvi_bench.synthetic.unpaired import foreign_people, missing_modalities

LONGEST_WALK = 6
"""Maximum number of frames of a walk, except in RegDB's layout; more images of a person need more walks."""


@dataclass(frozen=True, slots=True)
class Shot:
    """Shot: one image of a tree.

    Attributes:
        path: posix path in the tree.
        person: identity number, from 1.
        camera: camera number.
        walk: number of the person's walk past that camera, from 0.
        step: frame within the walk, from 0.
    """

    path: str
    person: int
    camera: int
    walk: int
    step: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Plan of a tree before it is rendered.

    Attributes:
        shots: all images, in path order.
        lists: contents of the id lists by posix path.
    """

    shots: tuple[Shot, ...]
    lists: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Split:
    """Split of the people: one of the three id lists.

    Attributes:
        people: number of identities.
        seen: number of identities that each of the six cameras sees.
        images: total number of images that each camera takes of them.
    """

    people: int
    seen: tuple[int, ...]
    images: tuple[int, ...]


def _even(people: int, seen: tuple[int, ...], each: tuple[int, ...]) -> _Split:
    """Make a split whose cameras take the same number of images, ``each``, of every person that they see."""
    return _Split(people, seen, tuple(count * frames for count, frames in zip(seen, each, strict=True)))


_SYSU = {
    "tiny": {
        "train": _even(12, (8, 8, 12, 11, 12, 8), (2, 2, 3, 2, 2, 3)),
        "val": _even(2, (0, 0, 2, 2, 2, 0), (0, 0, 3, 2, 2, 0)),
        "test": _even(8, (5, 5, 7, 8, 8, 8), (10, 10, 3, 10, 10, 3)),
    },
    "small": {
        "train": _even(176, (116, 116, 174, 170, 173, 120), (3, 3, 4, 3, 3, 4)),
        "val": _even(16, (0, 0, 16, 16, 16, 0), (0, 0, 4, 3, 3, 0)),
        "test": _even(60, (35, 35, 58, 59, 59, 60), (10, 10, 3, 10, 10, 3)),
    },
    "medium": {
        "train": _even(320, (210, 211, 317, 309, 315, 217), (5, 5, 6, 5, 5, 6)),
        "val": _even(64, (0, 0, 64, 64, 64, 0), (0, 0, 6, 5, 5, 0)),
        "test": _even(72, (42, 42, 70, 71, 71, 72), (10, 10, 6, 10, 10, 6)),
    },
    "full": {
        "train": _Split(296, (194, 195, 293, 283, 291, 200), (4721, 5753, 5929, 4821, 4989, 4000)),
        "val": _Split(99, (0, 0, 99, 99, 99, 0), (0, 0, 1980, 990, 984, 0)),
        "test": _Split(96, (56, 56, 93, 94, 95, 96), (1374, 1565, 1883, 1918, 1918, 1920)),
    },
}
"""``full`` has the numbers of people and images per camera of the official permutation file of SYSU-MM01."""


@dataclass(frozen=True, slots=True)
class _Halves:
    """Halves of the people, drawn anew for each fold as in RegDB.

    Attributes:
        people: number of identities.
        test: number of test identities of each fold.
        folds: number of folds.
        frames: number of images of a person in each modality.
    """

    people: int
    test: int
    folds: int
    frames: int


_REGDB = {
    "tiny": _Halves(16, 8, 2, 10),
    "small": _Halves(400, 40, 2, 8),
    "medium": _Halves(300, 72, 4, 10),
    "full": _Halves(412, 206, 10, 10),
}
_CAMERAS: dict[Modality, frozenset[int]] = {"visible": frozenset({1, 2, 4, 5}), "infrared": frozenset({3, 6})}
"""Cameras of SYSU-MM01's layout by modality."""


@dataclass(frozen=True, slots=True)
class _Passers:
    """Passers-by: the training or test people of LLCM's layout.

    Attributes:
        people: number of identities.
        visible: total number of visible images of them.
        infrared: total number of infrared images of them.
        seen: number of cameras of each modality that see a person.
    """

    people: int
    visible: int
    infrared: int
    seen: int


_LLCM = {
    "tiny": {"train": _Passers(12, 108, 96, 3), "test": _Passers(8, 48, 48, 3)},
    "small": {"train": _Passers(192, 1920, 1536, 4), "test": _Passers(60, 600, 480, 4)},
    "medium": {"train": _Passers(384, 5376, 4608, 4), "test": _Passers(100, 1400, 1200, 4)},
    "full": {"train": _Passers(713, 16946, 13975, 4), "test": _Passers(351, 8680, 7166, 4)},
}
"""``full`` has the published numbers of LLCM. How many cameras see a person is not published; four is our choice."""

_REGDB_WORDS: dict[Modality, str] = {"visible": "visible", "infrared": "thermal"}
"""Names of the modalities in RegDB's lists."""


def fold_numbers(layout: Layout, size: str) -> tuple[int, ...]:
    """Return the numbers of the folds of a tree.

    Raises:
        KeyError: unknown size.
    """
    return tuple(range(1, _REGDB[size].folds + 1)) if layout == "regdb" else (1,)


def plan(layout: Layout, spec: SyntheticSpec) -> Plan:
    """Plan the images and lists of a tree."""
    return {"sysu": _plan_sysu, "regdb": _plan_regdb, "llcm": _plan_llcm}[layout](spec)


def _plan_sysu(spec: SyntheticSpec) -> Plan:
    splits = _SYSU[spec.size]
    order = stream(spec.seed, "sysu", "splits").permutation(sum(split.people for split in splits.values())) + 1
    train, val = splits["train"].people, splits["val"].people
    people = {"train": order[:train], "val": order[train : train + val], "test": order[train + val :]}
    lost = missing_modalities(spec, order[: train + val].tolist())
    foreign = foreign_people(spec, order[: train + val].tolist(), len(order))
    shots = [
        shot
        for name, split in splits.items()
        for shot in _walk_past_cameras(split, people[name], foreign)
        if shot.person not in lost or shot.camera not in _CAMERAS[lost[shot.person]]
    ]
    listed = {name: numbers.tolist() for name, numbers in people.items()}
    listed = {name: [*known, *(foreign[p] for p in known if p in foreign)] for name, known in listed.items()}
    lists = {f"exp/{name}_id.txt": _comma_line(numbers) for name, numbers in listed.items()}
    lists["exp/available_id.txt"] = _comma_line([person for numbers in listed.values() for person in numbers])
    return Plan(tuple(sorted(shots, key=lambda shot: shot.path)), lists)


def _walk_past_cameras(split: _Split, people: NDArray[np.int64], foreign: Mapping[int, int]) -> Iterator[Shot]:
    for camera, (seen, images) in enumerate(zip(split.seen, split.images, strict=True), start=1):
        ranks = _ranks(camera, seen, split)
        for place, rank in enumerate(ranks):
            person = int(people[rank])
            person = foreign.get(person, person) if camera in _CAMERAS["visible"] else person
            frames = images // seen + (place < images % seen)
            yield from _walks(person, camera, frames, f"cam{camera}/{person:04d}/{{:04d}}.jpg")


def _ranks(camera: int, seen: int, split: _Split) -> list[int]:
    """Select the people that a camera sees, by position in the split, so that each modality sees every person.

    Cameras 4 and 5 miss some of the first people, who pass cameras 1 and 2; camera 3 misses some of the last, who pass
    camera 6.
    """
    missed = split.people - seen
    start = {4: 0, 5: split.people - split.seen[3], 6: 0}.get(camera, seen)
    return [rank for rank in range(split.people) if not start <= rank < start + missed]


def _comma_line(people: Iterable[int]) -> str:
    return ",".join(map(str, sorted(people))) + "\n"


def _walks(person: int, camera: int, frames: int, path: str) -> list[Shot]:
    """Distribute a person's frames from one camera over walks of at most ``LONGEST_WALK`` frames.

    Up to two frames come from one walk, more from at least two.

    >>> [(shot.walk, shot.step) for shot in _walks(person=1, camera=2, frames=3, path="{}.jpg")]
    [(0, 0), (0, 1), (1, 0)]
    """
    walks = max(1 if frames < 3 else 2, -(-frames // LONGEST_WALK))
    length = -(-frames // walks)
    return [Shot(path.format(i + 1), person, camera, i // length, i % length) for i in range(frames)]


def _plan_regdb(spec: SyntheticSpec) -> Plan:
    """Plan RegDB's layout; each person walks once, because RegDB's file names give one direction per person."""
    size = _REGDB[spec.size]
    lists: dict[str, str] = {}
    listed: set[Shot] = set()
    for fold in range(1, size.folds + 1):
        order = (stream(spec.seed, "regdb", "split", fold).permutation(size.people) + 1).tolist()
        train, test = order[: size.people - size.test], order[size.people - size.test :]
        lost, foreign = missing_modalities(spec, train, fold), foreign_people(spec, train, size.people, fold)
        for name, people in (("train", train), ("test", test)):
            label = {person: rank for rank, person in enumerate(sorted(people))}
            for modality, word in _REGDB_WORDS.items():
                lines = []
                for person in sorted(people):
                    if name == "train" and lost.get(person) == modality:
                        continue
                    stranger = name == "train" and modality == "visible" and person in foreign
                    shown = foreign[person] if stranger else person
                    number = label[person] + len(label) * stranger
                    shots = _past_regdb_camera(shown, modality, size.frames)
                    listed.update(shots)
                    lines += [f"{shot.path} {number}\n" for shot in shots]
                lists[f"idx/{name}_{word}_{fold}.txt"] = "".join(lines)
    return Plan(tuple(sorted(listed, key=lambda shot: shot.path)), lists)


def _past_regdb_camera(person: int, modality: Modality, frames: int) -> list[Shot]:
    folder, letter, camera = ("Visible", "v", 1) if modality == "visible" else ("Thermal", "t", 2)
    path = f"{folder}/{person}/person_{letter}_{{:05d}}_{person}.bmp"
    return [Shot(path.format(step + 1), person, camera, 0, step) for step in range(frames)]


def _plan_llcm(spec: SyntheticSpec) -> Plan:
    """Plan LLCM's layout; each modality sees each person with its own few cameras, drawn for each person."""
    splits = _LLCM[spec.size]
    order = stream(spec.seed, "llcm", "splits").permutation(sum(split.people for split in splits.values())) + 1
    people = {"train": order[: splits["train"].people].tolist(), "test": order[splits["train"].people :].tolist()}
    lost, foreign = missing_modalities(spec, people["train"]), foreign_people(spec, people["train"], len(order))
    label = {person: rank for rank, person in enumerate(sorted(people["train"]))}
    label |= {stranger: len(people["train"]) + label[person] for person, stranger in foreign.items()}
    shots: list[Shot] = []
    lists = {"idx/test_id.txt": _comma_line(people["test"])}
    for modality, word in (("visible", "vis"), ("infrared", "nir")):
        taken = {
            name: [
                shot
                for person, frames in zip(people[name], _shares(getattr(split, modality), split.people), strict=True)
                if name == "test" or lost.get(person) != modality
                for shot in _past_llcm_cameras(spec, person, frames, split.seen, word, name, foreign)
            ]
            for name, split in splits.items()
        }
        listed = sorted((shot.path, label[shot.person]) for shot in taken["train"])
        lists[f"idx/train_{word}.txt"] = "".join(f"{path} {number}\n" for path, number in listed)
        shots += [*taken["train"], *taken["test"]]
    return Plan(tuple(sorted(shots, key=lambda shot: shot.path)), lists)


def _past_llcm_cameras(
    spec: SyntheticSpec, person: int, frames: int, seen: int, word: str, split: str, foreign: Mapping[int, int]
) -> Iterator[Shot]:
    """Distribute a person's frames of one modality over ``seen`` cameras."""
    modality = "visible" if word == "vis" else "infrared"
    numbers = [camera.number for camera in LLCM if camera.modality == modality]
    drawn = stream(spec.seed, "llcm", "seen", modality, person).choice(numbers, seen, replace=False)
    shown = foreign.get(person, person) if modality == "visible" else person
    for camera, count in zip(sorted(drawn.tolist()), _shares(frames, seen), strict=True):
        place = camera % NIGHT
        folder = f"train_{word}" if split == "train" else f"test_{word}/cam{place}"
        yield from _walks(shown, camera, count, f"{folder}/{shown:04d}/{shown:04d}_c{place:02d}_f{{:04d}}.jpg")


def _shares(total: int, parts: int) -> list[int]:
    """Divide a number into parts that differ by at most one.

    >>> _shares(10, 4)
    [3, 3, 2, 2]
    """
    return [total // parts + (i < total % parts) for i in range(parts)]
