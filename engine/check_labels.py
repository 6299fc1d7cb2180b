"""Check of the labels that a method returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from usvi_bench.core.errors import UsageError
from usvi_bench.core.types import OUTLIER, Features, PseudoLabels

_PER_IMAGE = ("joint", "joint_clusters", "matched")
"""Names in ``extra`` of vectors with an entry for each image."""


def check_labels(labels: Any, features: Features, method: str) -> None:
    """Check the types, shapes and ranges of a method's labels.

    Args:
        labels: result of :meth:`~usvi_bench.methods.base.Method.label`.
        features: features that were labelled.
        method: registered name of the method.

    Raises:
        UsageError: the labels are wrong; the message names the method, the field and what is expected.
    """
    if not isinstance(labels, PseudoLabels):
        raise UsageError(f"label() of '{method}' returned {type(labels).__name__}; return PseudoLabels")
    images = len(features.visible), len(features.infrared)
    clusters = [
        _check(vector, f"'{name}' of label() of '{method}'", size, size)
        for name, vector, size in zip(("visible", "infrared"), (labels.visible, labels.infrared), images, strict=True)
    ]
    if not isinstance(labels.extra, Mapping):
        raise UsageError(f"'extra' of label() of '{method}' must be a mapping of names to pairs of vectors")
    for name, pair in labels.extra.items():
        where = f"extra['{name}'] of label() of '{method}'"
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise UsageError(f"{where} must be a pair of vectors, visible and infrared")
        for vector, size in zip(pair, images, strict=True):
            _check(vector, where, size if name in _PER_IMAGE else None, sum(images))
    if labels.visible_to_infrared is not None:
        _check(labels.visible_to_infrared, f"'visible_to_infrared' of label() of '{method}'", clusters[0], clusters[1])


def _check(vector: Any, where: str, length: int | None, most: int) -> int:
    """Check a vector of clusters below ``most``, and return their number."""
    shape = "[clusters]" if length is None else f"[{length}]"
    expected = f"{where} must be an int64 tensor of shape {shape}"
    if not isinstance(vector, Tensor):
        raise UsageError(f"{expected}, found {type(vector).__name__}")
    if vector.dtype != torch.int64 or vector.dim() != 1 or (length is not None and len(vector) != length):
        raise UsageError(f"{expected}, found {str(vector.dtype).removeprefix('torch.')} of shape {list(vector.shape)}")
    if not len(vector):
        return 0
    low, high = int(vector.min()), int(vector.max())
    if low < OUTLIER or high >= most:
        raise UsageError(f"{where} must hold clusters from 0 to {most - 1}, or {OUTLIER}; found {low} to {high}")
    return high + 1
