"""Embedding network: the part of an encoder that differs between architectures, from images to pooled features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from usvi_bench.components.encoder.public_file import PublicFile
from usvi_bench.core.bounds import bounded, check_bounds, one_of
from usvi_bench.core.registry import ENCODERS


@dataclass(frozen=True)
class EncoderConfig:
    """Encoder settings that all encoders have; an encoder with further settings derives its class from this one.

    Attributes:
        name: registered name of the network.
        bn_groups: number of parts that each modality's batch is cut into for batch normalisation; part j of both
            modalities is normalised together. The published recipes had one part per GPU (2 or 4). ``encoder.bn`` sets
            it by name: ``sync`` (1, for any number of GPUs), ``per_gpu`` (one per process) or ``groups=g``.
    """

    name: str = one_of(ENCODERS.names)
    bn_groups: int = bounded(1, 1, 1024)

    def __post_init__(self) -> None:
        check_bounds(self, "encoder")

    @property
    def variant(self) -> str:
        """Name of the suite's weight file: the network's name, with the settings that its weights' shapes depend on."""
        return self.name


class EmbeddingNetwork(nn.Module, ABC):
    """Embedding network with a part for each modality and a shared part; base class of all encoders in ``ENCODERS``.

    :class:`~usvi_bench.components.encoder.two_stream.TwoStreamEncoder` calls the parts. It adds mixed precision, the
    split of a batch between processes, the parts of a batch for batch normalisation, and the neck.

    ``__init__`` sets ``visible``, ``infrared`` and ``feature_dim``, and refuses image sizes that do not fit.

    Args:
        config: the network's own ``Config``.
        height: height of the images in pixels.
        width: width of the images in pixels.

    Attributes:
        visible: part for visible images: ``[B, 3, H, W]``, normalised, to ``[B, ...]``.
        infrared: part for infrared images, with outputs of the same shape.
        feature_dim: length D of a pooled feature.
    """

    Config: ClassVar[type[EncoderConfig]]
    """Frozen dataclass of the settings, with a default for each field but ``name``."""
    summary: ClassVar[str] = ""
    """One line for ``run.py --list``."""
    public_weights: ClassVar[str] = "a file of the encoder's weights"
    """Description of the public weight file that training on real images starts from, for messages."""
    public_file: ClassVar[PublicFile | None] = None
    """File that ``--weights imagenet`` names."""
    memory_format: ClassVar[torch.memory_format] = torch.contiguous_format
    """Memory layout of images and weights that is fastest for the network."""

    visible: nn.Module
    infrared: nn.Module
    feature_dim: int

    def __init__(self, config: Any, height: int, width: int) -> None:
        super().__init__()

    @abstractmethod
    def pool(self, maps: Tensor) -> Tensor:
        """Apply the shared part to images of both modalities.

        Args:
            maps: ``[B, ...]`` concatenated outputs of the parts of both modalities.

        Returns:
            ``[B, D]``, one feature per image, before the neck.
        """

    def compile_shared(self) -> None:
        """Compile the part that takes most of the time, in place; by default, do nothing."""

    def from_public(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        """Convert weights from a public file of this architecture to the names of this network.

        Args:
            state: content of the file.

        Returns:
            Weights for every entry of ``state_dict()``, or None if this is not a public file of the architecture.

        Raises:
            UsageError: the file is of this architecture, but of another size.
        """
        return None
