"""Known containers of weights, to name the one that is nearest to a file that does not fit."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

import torch

from usvi_bench.components.encoder.registered import encoder_config, network_class
from usvi_bench.components.encoder.released import RELEASES, released_name, unused_names
from usvi_bench.components.encoder.two_stream import build_encoder
from usvi_bench.core.registry import ENCODERS

_HIL = ("b1.", "bottlenecks.")
"""Starts of names that only the release of HIL has (haonanshi0125/HIL @09c857a)."""


def nearest_container(names: Collection[str]) -> str:
    """Describe the known container whose names differ least from those of a file, with its number of tensors."""
    if all(any(name.startswith(start) for name in names) for start in _HIL):
        return "the release of HIL, a ViT with two stems that no encoder of this suite can load"
    given = set(names)
    title, nearest = min(_containers().items(), key=lambda item: len(item[1] ^ given))
    return f"{title} ({len(nearest):,} tensors; the file has {len(given):,})"


@cache
def _containers() -> dict[str, frozenset[str]]:
    """Return the names of the tensors of each known container, by its description."""
    found: dict[str, frozenset[str]] = {}
    for name in ENCODERS.own_names():
        if hasattr(network_class(name).Config, "non_local"):
            found |= {f"'{name}' with encoder.non_local={str(on).lower()}": _own(name, on) for on in (False, True)}
        else:
            found[f"'{name}'"] = _own(name)
    kinds: dict[tuple[bool, bool], list[str]] = {}
    for release in RELEASES.values():
        kinds.setdefault((release.non_local, release.second_neck), []).append(release.title)
    for (non_local, second), titles in kinds.items():
        found[f"a release of {' or '.join(titles)}"] = released_names(non_local, second)
    return found


def released_names(non_local: bool, second_neck: bool = False) -> frozenset[str]:
    """Return the names of all tensors of a release, as its files have them without the prefix of ``DataParallel``."""
    own = _own("resnet50", non_local)
    unused = {name for name in unused_names(own) if second_neck or not name.startswith("bottleneck_2.")}
    return frozenset(map(released_name, own)) | (unused - {"classifier.bias"})


def _own(name: str, non_local: bool | None = None) -> frozenset[str]:
    settings = {} if non_local is None else {"non_local": non_local}
    with torch.device("meta"):  # names without values
        return frozenset(build_encoder(encoder_config(name, **settings), 0).state_dict())
