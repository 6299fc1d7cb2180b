"""What to generate: one line of text to a frozen, hashable description."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

from engine.registry import UsageError, did_you_mean

GENERATOR_VERSION = 1
"""Raised whenever the same specification would give other bytes."""

SIZES = ("tiny", "small", "medium", "full")
"""``tiny`` is meant for tests."""


_TAKES = {int: "an integer", float: "a number from 0 to 1", str: "a name"}


@dataclass(frozen=True)
class SyntheticSpec:
    """A population and the causes of difficulty in its images; every knob lies in ``[0, 1]``.

    Attributes:
        size: number of people and images, one of ``SIZES``.
        seed: another seed gives other people, clothes, places and walks.
        modality_gap: 0 makes infrared the grey visible image, 1 the measured relation.
        camera_gap: how far optics, light and view point of the cameras lie apart.
        clothing_similarity: fraction of people who wear one of a few shared outfits.
        occlusion: fraction of images with something in front of the person.
        pose: spread of walking directions, strides and arm swings.
        mismatch: fraction of training identities seen by one modality only.
    """

    size: str = "small"
    seed: int = 0
    modality_gap: float = 1.0
    camera_gap: float = 1.0
    clothing_similarity: float = 0.0
    occlusion: float = 0.0
    pose: float = 1.0
    mismatch: float = 0.0

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise UsageError(f"synthetic: unknown size '{self.size}': {did_you_mean(self.size, SIZES)}")
        if self.seed < 0:
            raise UsageError(f"synthetic: seed={self.seed} is negative; use 0 or more")
        for name, value in self.knobs().items():
            if not 0.0 <= value <= 1.0:
                raise UsageError(f"synthetic: {name}={value} is out of range; use a number from 0 to 1")

    def knobs(self) -> dict[str, float]:
        """The causes of difficulty by name."""
        return {name: value for name, value in asdict(self).items() if name not in ("size", "seed")}

    def folder(self, layout: str) -> str:
        """Name of the tree: layout, generator version, size, seed and a short hash of the knobs."""
        text = ",".join(f"{name}={float(value)!r}" for name, value in self.knobs().items())
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"{layout}-v{GENERATOR_VERSION}-{self.size}-seed{self.seed}-{digest}"


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
