"""What to generate: one line of text to a frozen, hashable description."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from usvi_bench.core.errors import UsageError, did_you_mean

GENERATOR_VERSIONS = {"sysu": 4, "regdb": 4}
"""A number for each layout, raised whenever the same specification would give other bytes."""

SIZES = ("tiny", "small", "medium", "full")
"""``tiny`` is meant for tests."""
HEIGHTS = (128, 288)
DEVICES = ("cpu", "cuda")

_TAKES = {int: "an integer", float: "a number from 0 to 1", str: "a name"}
_NO_KNOBS = ("size", "seed", "height", "device")


@dataclass(frozen=True)
class SyntheticSpec:
    """A population and the causes of difficulty in its images; every knob lies in ``[0, 1]``.

    Attributes:
        size: number of people and images, one of ``SIZES``.
        seed: another seed gives other people, clothes, places and walks.
        height: of the images in pixels, twice the width, one of ``HEIGHTS``; 0 stands for the size's own.
        device: what renders. Devices round differently, so each makes a data set of its own.
        modality_gap: 0 gives surfaces their grey visible level in infrared, 1 that of their material; creases and
            ground shadows stay those of the band.
        camera_gap: how far optics, tone and height of the cameras lie apart; their lamps and places stay.
        clothing_similarity: fraction of people who wear one of a few shared outfits.
        recolour: fraction of visible cameras before which a person wears the same clothes in other colours.
        occlusion: fraction of images with something in the foreground, nearly always before the person.
        pose: share of walks headed elsewhere than towards the camera; spread of directions, strides and arm
            swings.
        boxes: how loosely boxes are drawn, in margin, shift and stretch: 0 exactly, 0.5 as measured, 1 twice as loose.
        mismatch: fraction of training identities seen by one modality only.
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

    def knobs(self) -> dict[str, float]:
        """The causes of difficulty by name."""
        return {name: value for name, value in asdict(self).items() if name not in _NO_KNOBS}

    def folder(self, layout: str) -> str:
        """Name of the tree: layout, its version, size, height, seed, a short hash of the knobs, the device."""
        text = ",".join(f"{name}={float(value)!r}" for name, value in self.knobs().items())
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        name = f"{layout}-v{GENERATOR_VERSIONS[layout]}-{self.size}-{self.height}-seed{self.seed}-{digest}"
        return name if self.device == "cpu" else f"{name}+{self.device}"


def changed_knobs(spec: Mapping[str, object]) -> dict[str, float]:
    """Select the knobs of a described population that differ from their defaults.

    Args:
        spec: fields of a :class:`SyntheticSpec` by name, as a generated tree states them.
    """
    defaults = SyntheticSpec().knobs()
    stated = {name: value for name, value in spec.items() if isinstance(value, int | float)}
    return {name: float(stated[name]) for name, usual in defaults.items() if stated.get(name, usual) != usual}


def parse(text: str) -> SyntheticSpec:
    """Read ``synthetic`` or ``synthetic:size=small,seed=0,occlusion=0.5``.

    Raises:
        UsageError: an unknown key, a value of the wrong type or out of range, a repeated key.
    """
    head, _, tail = text.partition(":")
    if head != "synthetic":
        raise UsageError(f"'{text}' is no synthetic specification; write synthetic or synthetic:size=small,seed=0")
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
            raise UsageError(f"synthetic: {item!r} is wrong; '{key}' takes {_TAKES[kinds[key]]}") from None
    return SyntheticSpec(**values)  # type: ignore[arg-type]
