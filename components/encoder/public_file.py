"""Public weight file of an architecture, and the caches of torch and timm that may hold it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from usvi_bench.core.host import home_folder
from usvi_bench.core.paths import expanded


@dataclass(frozen=True)
class PublicFile:
    """Public file of weights that were trained on ImageNet.

    Attributes:
        url: where it is published; the digits after the last ``-`` of its name begin its SHA-256, as in torch hub.
        equal: names of other files of torch hub with the same weights.
        timm: name of the same weights in timm.
    """

    url: str
    equal: tuple[str, ...] = ()
    timm: str = ""

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.url.rpartition("/")[2]

    @property
    def digits(self) -> tuple[str, ...]:
        """First digits of the SHA-256 of the file and of equal ones."""
        return tuple(map(digits_of, (self.name, *self.equal)))

    def places(self) -> Iterator[Path]:
        """Yield the paths that the file may have in the caches of torch hub and timm, best first."""
        yield from (hub_folder() / name for name in (self.name, *self.equal))
        snapshots = timm_folder() / f"models--timm--{self.timm}" / "snapshots"
        yield from sorted(snapshots.glob("*/model.safetensors"))


def digits_of(name: str) -> str:
    """Return the digits of a SHA-256 in the name of a file of torch hub; empty if there are none.

    >>> digits_of("resnet50-19c8e357.pth"), digits_of("model.safetensors")
    ('19c8e357', '')
    """
    digits = name.partition(".")[0].rpartition("-")[2]
    return digits if len(digits) == 8 and set(digits) <= set("0123456789abcdef") else ""


def hub_folder() -> Path:
    """Return the folder of torch hub's files: below ``TORCH_HOME``, else ``XDG_CACHE_HOME``, else ``~/.cache``."""
    return _folder(("TORCH_HOME", ""), ("XDG_CACHE_HOME", "torch"), usual="torch") / "hub" / "checkpoints"


def timm_folder() -> Path:
    """Return the cache of the Hugging Face hub, where timm keeps weights."""
    usual = "huggingface/hub"
    return _folder(("HF_HUB_CACHE", ""), ("HF_HOME", "hub"), ("XDG_CACHE_HOME", usual), usual=usual)


def _folder(*variables: tuple[str, str], usual: str) -> Path:
    """Return the folder below the first variable that is set, else below the cache folder of the home."""
    for variable, below in variables:
        if value := os.environ.get(variable):
            return expanded(value) / below
    return (home_folder() or Path()) / ".cache" / usual
