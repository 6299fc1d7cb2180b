"""Several memories in one tensor, so that a step takes one product and one softmax for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, pad

from usvi_bench.core.types import OUTLIER

OUTSIDE = -1e30
"""Logit of a row of another memory: its share in a softmax is 0, and 0 times its logarithm is 0."""


class StackedMemory(nn.Module):
    """Stacked memory: the rows of several memories one after another, then a spare row for samples without a row.

    Args:
        memories: ``[K, D]`` rows of each memory by name, normalised here.
        temperature: divides the cosine similarities [tau].

    Attributes:
        rows: ``[R, D]`` rows of all memories; the last one is the spare row.
        spare: number of the spare row.
    """

    rows: Tensor

    def __init__(self, memories: Mapping[str, Tensor], temperature: float) -> None:
        super().__init__()
        self._sizes = {name: len(rows) for name, rows in memories.items()}
        counts = list(self._sizes.values())
        self._starts = {name: sum(counts[:i]) for i, name in enumerate(memories)}
        rows, self.spare = pad(normalize(torch.cat(list(memories.values()))), (0, 0, 0, 1)), sum(counts)
        rows[self.spare, 0] = 1  # update rules take rows of unit length
        self.register_buffer("rows", rows, persistent=False)
        self.temperature = temperature

    def parts(self) -> dict[str, Tensor]:
        """Return the current rows of each memory."""
        return {name: self.rows[start : start + self._sizes[name]] for name, start in self._starts.items()}

    def rows_of(self, clusters: Mapping[str, Tensor]) -> Tensor:
        """Return the rows ``[P, K]`` of K clusters, given their rows in P of the memories; -1 becomes the spare row."""
        rows = [torch.where(own != OUTLIER, own + self._starts[name], self.spare) for name, own in clusters.items()]
        return torch.stack(rows)

    def masks(self, names: Iterable[str]) -> Tensor:
        """Return for each named memory ``[P, R]``: 0 for its rows, ``OUTSIDE`` for all other rows."""
        row = torch.arange(len(self.rows), device=self.rows.device)
        spans = [(self._starts[name], self._starts[name] + self._sizes[name]) for name in names]
        inside = torch.stack([(row >= start) & (row < stop) for start, stop in spans])
        return self.rows.new_zeros(inside.shape).masked_fill_(~inside, OUTSIDE)

    def logits(self, features: Tensor, masks: Tensor) -> Tensor:
        """Compute M f / tau of unit features ``[B, D]`` within the memories of ``masks`` ``[P, B, R]``."""
        return torch.add(masks, features @ self.rows.t(), alpha=1 / self.temperature)
