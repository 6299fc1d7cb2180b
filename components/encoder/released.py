"""Weights that other projects released: names of tensors in ADCA's family and AGW, and how they map to ours.

The map was read in the released code: yangbincv/ADCA @8d0a8cb, zesenwu23/USL-VI-ReID @ed4a7df (PGM),
zesenwu23/USL-VI-ReID @c1f7b24 (PCLHD), shijiangming1/MMM @7e57d50, XiangboYin/RPNR @6647f21.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

KEY_MAP = "two-stream-1"
"""Name of the map in records."""
_MARK = "visible_module."
"""Start of names that only these releases have."""
_NON_LOCAL = {
    "NL_2.0": "layer2_2", "NL_2.1": "layer2_3", "NL_3.0": "layer3_3", "NL_3.1": "layer3_4", "NL_3.2": "layer3_5",
}  # fmt: skip
"""Non-local blocks by their names in a release."""
_IN_BLOCK = {"g": "g.0", "theta": "theta", "phi": "phi", "out": "W.0", "bn": "W.1"}
"""Parts of a non-local block: our name and that in a release."""
_STEMS = {"visible": "visible_module.visible", "infrared": "thermal_module.thermal"}


@dataclass(frozen=True)
class Release:
    """Release of weights by another project.

    Attributes:
        title: name of the method.
        network: ``student`` or ``teacher``: the network whose weights the file holds.
        non_local: whether it has non-local blocks.
        second_neck: whether it has a second neck, which is not scored.
    """

    title: str
    network: str
    non_local: bool
    second_neck: bool = False


RELEASES = {
    "adca": Release("ADCA", "student", non_local=False),
    "pgm": Release("PGM", "student", non_local=True),
    "pclhd": Release("PCLHD", "teacher", non_local=True),
    "mmm": Release("MMM", "student", non_local=True, second_neck=True),
    "rpnr": Release("RPNR", "student", non_local=True),
}
"""Known releases by the first word of a claim."""


def is_released(names: Iterable[str]) -> bool:
    """Return whether the names of some tensors are those of a release."""
    return any(name.startswith(_MARK) for name in names)


def has_non_local(names: Collection[str]) -> bool:
    """Return whether a file has non-local blocks, by its names, which may be ours or those of a release."""
    return "NL_2.0.theta.weight" in names or any(name.startswith("trunk.non_local.") for name in names)


def released_name(name: str) -> str:
    """Return the name of a tensor of our ``resnet50`` in a release.

    >>> released_name("trunk.non_local.layer3_4.out.weight"), released_name("infrared.bn1.bias")
    ('NL_3.1.W.0.weight', 'thermal_module.thermal.bn1.bias')
    """
    part, _, rest = name.partition(".")
    if part in _STEMS:
        return f"{_STEMS[part]}.{rest}"
    if part == "neck":
        return f"bottleneck.{rest}"
    if not rest.startswith("non_local."):
        return f"base_resnet.base.{rest}"
    _, block, inner, leaf = rest.split(".")
    blocks = {ours: theirs for theirs, ours in _NON_LOCAL.items()}
    return f"{blocks[block]}.{_IN_BLOCK[inner]}.{leaf}"


def unused_names(own: Iterable[str]) -> set[str]:
    """Return the names in a release whose tensors its test does not use: copies of stages and stems, classifiers.

    Args:
        own: names of the tensors of our ``resnet50``.
    """
    found = {"classifier.weight", "classifier.bias"}
    for name in own:
        part, _, rest = name.partition(".")
        if part == "trunk" and rest.startswith("layer"):
            found |= {f"{stem}.{rest}" for stem in _STEMS.values()}
        elif part == "visible":
            found.add(f"base_resnet.base.{rest}")
        elif part == "neck":
            found.add(f"bottleneck_2.{rest}")
    return found


def from_release(state: Mapping[str, Tensor], own: Collection[str]) -> tuple[dict[str, Tensor], list[str], list[str]]:
    """Convert the weights of a release to our names.

    Args:
        state: tensors of the file, without a common prefix.
        own: names of the tensors of our ``resnet50``, with non-local blocks if the file has them.

    Returns:
        The tensors that were found, by our names; missing and unexpected names of the file.
    """
    theirs = {name: released_name(name) for name in own}
    found = {name: state[other] for name, other in theirs.items() if other in state}
    missing = [other for other in theirs.values() if other not in state]
    unexpected = state.keys() - set(theirs.values()) - unused_names(own)
    return found, sorted(missing), sorted(unexpected)
