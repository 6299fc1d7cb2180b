"""Specification of synthetic people, parsed from one line of text."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from usvi_bench.core.errors import UsageError, did_you_mean

GENERATOR_VERSIONS = {"sysu": 6, "regdb": 7, "llcm": 3}
"""Version of each layout, raised whenever the same specification gives different bytes."""

DEVELOPMENT_SEEDS = (100, 101, 102)
"""Seeds of the people on whom settings, start weights, difficulty and methods are chosen."""
BOARD_SEED = 1000
"""Seed of the people of the leaderboards. Nothing is chosen on them, and no default uses them."""

SIZES = ("tiny", "small", "medium", "full")
"""Sizes of a population; ``tiny`` is meant for tests."""
HEIGHTS = (128, 288)
DEVICES = ("cpu", "cuda")

_TAKES = {int: "an integer", float: "a number from 0 to 1", str: "a name"}
_NO_KNOBS = ("size", "seed", "height", "device")
_ADDED = ("foreign",)
"""Knobs that were added later. At their default, they are absent from notes and from names of folders, so that earlier
trees and records remain valid."""


@dataclass(frozen=True)
class SyntheticSpec:
    """Specification of synthetic people: a population and knobs for the difficulty of its images.

    Attributes:
        size: one of ``SIZES``; sets the number of people and images.
        seed: seed of people, clothes, places and walks.
        height: of the images in pixels, one of ``HEIGHTS``; the width is half of it. 0 selects the default of the size.
        device: device that renders. Devices round differently, so each gives its own data set.
        modality_gap: 0 gives surfaces their grey visible level in infrared, 1 the near-infrared level of their material
            or, in thermal infrared, 0.6 of the way to the thermal level. Creases and ground shadows keep those of the
            band.
        camera_gap: scale of the differences in optics, tone and tilt between cameras; lamps and places stay.
        clothing_similarity: fraction of people who wear one of a few shared outfits.
        recolour: fraction of pairs of person and visible camera with other colours of the same clothes.
        occlusion: fraction of images with an occluder, which nearly always hides part of the person.
        pose: fraction of walks that may head elsewhere than towards the camera; also scales the spread of directions,
            strides and arm swings.
        boxes: looseness of boxes in margin, shift and stretch: 0 exact, 0.5 as measured, 1 twice as loose.
        mismatch: fraction of training identities seen by one modality only; their other images are left out.
        foreign: fraction of training identities whose visible images show a stranger instead; no image is left out.
    """

    size: str = "small"
    seed: int = 0
    height: int = 0
    device: str = "cpu"
    modality_gap: float = 1.0
    camera_gap: float = 1.0
    clothing_similarity: float = 0.0
    recolour: float = 0.0
    occlusion: float = 0.0
    pose: float = 1.0
    boxes: float = 0.5
    mismatch: float = 0.0
    foreign: float = 0.0

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise UsageError(f"synthetic: unknown size '{self.size}': {did_you_mean(self.size, SIZES)}")
        if self.device not in DEVICES:
            raise UsageError(f"synthetic: unknown device '{self.device}': {did_you_mean(self.device, DEVICES)}")
        if self.seed < 0:
            raise UsageError(f"synthetic: seed={self.seed} is negative; use 0 or more")
        if self.height == 0:
            object.__setattr__(self, "height", HEIGHTS[self.size == "full"])
        if self.height not in HEIGHTS:
            raise UsageError(f"synthetic: height={self.height}; use one of {', '.join(map(str, HEIGHTS))}")
        for name, value in self.knobs().items():
            if not 0.0 <= value <= 1.0:
                raise UsageError(f"synthetic: {name}={value} is out of range; use a number from 0 to 1")
        if self.mismatch and self.foreign:
            raise UsageError(
                f"synthetic: mismatch={self.mismatch} and foreign={self.foreign}: use one of them, not both"
            )

    def knobs(self) -> dict[str, float]:
        """Return the knobs by name; every value lies in [0, 1]."""
        return {name: value for name, value in asdict(self).items() if name not in _NO_KNOBS}

    def note(self) -> dict[str, str | int | float]:
        """Return the specification as plain data, as ``synthetic.json`` and records hold it.

        >>> "foreign" in SyntheticSpec().note(), SyntheticSpec(foreign=0.5).note()["foreign"]
        (False, 0.5)
        """
        return {name: value for name, value in asdict(self).items() if name not in _ADDED or value != _default(name)}

    def folder(self, layout: str) -> str:
        """Return the name of the tree's folder: layout, version, size, height, seed, a hash of the knobs, the device.

        >>> SyntheticSpec().folder("sysu")
        'sysu-v6-small-128-seed0-cfd38d21'
        """
        written = self.note()
        text = ",".join(f"{name}={float(value)!r}" for name, value in self.knobs().items() if name in written)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        name = f"{layout}-v{GENERATOR_VERSIONS[layout]}-{self.size}-{self.height}-seed{self.seed}-{digest}"
        return name if self.device == "cpu" else f"{name}+{self.device}"


def _default(name: str) -> object:
    return SyntheticSpec.__dataclass_fields__[name].default


def level_of(spec: Mapping[str, Any], knob: str) -> float | None:
    """Return the level of a knob in a note; None if the note lacks a knob that all notes have.

    >>> level_of({"pose": 0.5}, "pose"), level_of({}, "foreign"), level_of({}, "pose")
    (0.5, 0.0, None)
    """
    found = spec.get(knob, _default(knob) if knob in _ADDED else None)
    return None if found is None else float(found)


def changed_knobs(spec: Mapping[str, object]) -> dict[str, float]:
    """Select the knobs that differ from their defaults.

    Args:
        spec: fields of a :class:`SyntheticSpec` by name.

    >>> changed_knobs({"size": "tiny", "occlusion": 0.5, "boxes": 0.5})
    {'occlusion': 0.5}
    """
    defaults = SyntheticSpec().knobs()
    stated = {name: value for name, value in spec.items() if isinstance(value, int | float)}
    return {name: float(stated[name]) for name, usual in defaults.items() if stated.get(name, usual) != usual}


def parse(text: str) -> SyntheticSpec:
    """Parse ``synthetic`` or ``synthetic:size=small,seed=0,occlusion=0.5``.

    Raises:
        UsageError: an unknown key, a value of the wrong type or out of range, a repeated key.

    >>> parse("synthetic:size=tiny,occlusion=0.5").occlusion
    0.5
    """
    head, _, tail = text.partition(":")
    if head != "synthetic":
        raise UsageError(f"'{text}' is not a synthetic specification; write synthetic or synthetic:size=small,seed=0")
    kinds: dict[str, type[str | int | float]] = {name: type(value) for name, value in asdict(SyntheticSpec()).items()}
    values: dict[str, str | int | float] = {}
    for item in filter(None, (part.strip() for part in tail.split(","))):
        key, _, value = (part.strip() for part in item.partition("="))
        if key not in kinds:
            raise UsageError(f"synthetic: unknown key '{key}': {did_you_mean(key, kinds)}")
        if key in values:
            raise UsageError(f"synthetic: '{key}' is given twice; keep one")
        try:
            values[key] = kinds[key](value)
        except ValueError:
            raise UsageError(f"synthetic: {item!r} is invalid; '{key}' takes {_TAKES[kinds[key]]}") from None
    return SyntheticSpec(**values)  # type: ignore[arg-type]
