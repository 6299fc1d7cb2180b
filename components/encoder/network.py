"""The part of an encoder that differs between architectures: from images to one pooled feature each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from usvi_bench.core.errors import UsageError


@dataclass(frozen=True)
class EncoderConfig:
    """Settings that every encoder has; an encoder with further settings derives its own from them.

    Attributes:
        name: registered name of the network.
        bn_groups: parts that each modality's batch is cut into for batch normalisation; part j of both modalities
            is normalised together. The published recipes had one part per GPU (2 or 4). ``encoder.bn`` says the same
            by name: ``sync`` (1, over however many GPUs), ``per_gpu`` (one a process) or ``groups=g``.
    """

    name: str
    bn_groups: int = 1

    def __post_init__(self) -> None:
        if self.bn_groups < 1:
            raise UsageError(f"encoder.bn_groups={self.bn_groups} must be at least 1")

    @property
    def variant(self) -> str:
        """Name of the network with what its weights' shapes depend on, as the suite's own weight files are called."""
        return self.name


class EmbeddingNetwork(nn.Module, ABC):
    """Network with a part for each modality and a shared part; base class of what ``ENCODERS`` registers.

    :class:`~usvi_bench.components.encoder.two_stream.TwoStreamEncoder` calls the parts and adds what all encoders have:
    precision, shares of a batch between processes, parts for batch normalisation, and the neck.

    ``__init__`` sets ``visible``, ``infrared`` and ``feature_dim``, and refuses images of a size that does not fit.

    Args:
        config: the network's own ``Config``.
        height: height of the images in pixels.
        width: their width.

    Attributes:
        visible: part for visible images: ``[B, 3, H, W]``, normalised, to ``[B, ...]``.
        infrared: part for infrared images, with outputs of the same shape.
        feature_dim: length D of a pooled feature.
    """

    Config: ClassVar[type[EncoderConfig]]
    """Frozen dataclass of the settings, with a default for each field but ``name``."""
    summary: ClassVar[str] = ""
    """One line for ``run.py --list``."""
    public_weights: ClassVar[str] = "a file of its weights"
    """The file that trainings on real images start from, in words."""
    memory_format: ClassVar[torch.memory_format] = torch.contiguous_format
    """Layout of images and weights that the network is fastest in."""

    visible: nn.Module
    infrared: nn.Module
    feature_dim: int

    def __init__(self, config: Any, height: int, width: int) -> None:
        super().__init__()

    @abstractmethod
    def pool(self, maps: Tensor) -> Tensor:
        """Apply the shared part to images of both modalities.

        Args:
            maps: ``[B, ...]`` outputs of the modalities' parts, one below the other.

        Returns:
            ``[B, D]``, one feature an image, before the neck.
        """

    def compile_shared(self) -> None:
        """Compile the part that takes most of the time, in place; nothing by default."""

    def from_public(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        """Convert weights from a public file of this architecture to the names of this network.

        Args:
            state: content of the file.

        Returns:
            Weights for every entry of ``state_dict()``, or None where the file has other names than public ones.

        Raises:
            UsageError: a file of this architecture in another size.
        """
        return None
