"""Two-stream encoder of visible-infrared re-identification: an embedding network and a batch-norm neck."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from usvi_bench.components.encoder.batch_norm import GroupedBatchNorm, batch_norms, count_batch
from usvi_bench.components.encoder.network import EmbeddingNetwork, EncoderConfig
from usvi_bench.components.encoder.registered import new_network
from usvi_bench.core.distributed.batch_norm import parts_fit
from usvi_bench.core.distributed.collectives import all_gather_rows, local_slice, world_size
from usvi_bench.core.errors import UsageError
from usvi_bench.core.types import Modality

NETWORK = "network."
"""Prefix of the network's parameters, which is left out of saved weights."""


class TwoStreamEncoder(nn.Module):
    """Two-stream encoder: an embedding network and a neck, as in AGW (mangye16/Cross-Modal-Re-ID-baseline @e817a26).

    Each modality has its own first part. The shared part of the network takes the images of both modalities as one
    batch, also for batch normalisation. The neck follows: batch normalisation with its shift frozen at 0. Its output is
    the feature. Saved weights have the network's own parameter names, and ``neck.*`` for the neck.

    Args:
        network: network that turns images into pooled features.
        groups: number of parts that each modality's batch is cut into for batch normalisation.

    Attributes:
        feature_dim: length D of a feature.
        precision: data type that the network computes in, such as ``torch.bfloat16``; None for that of its weights.
            The neck always computes in float32.
    """

    precision: torch.dtype | None = None

    def __init__(self, network: EmbeddingNetwork, groups: int) -> None:
        super().__init__()
        self.network = network
        self.feature_dim = network.feature_dim
        self.neck = GroupedBatchNorm(self.feature_dim, groups)
        self.neck.bias.requires_grad_(False)
        self.groups = groups
        self._norms = {name: batch_norms(part) for name, part in network.named_children()}
        nn.init.normal_(self.neck.weight, 1.0, 0.01)
        self._register_state_dict_hook(_without_prefix)  # type: ignore[no-untyped-call]
        self._register_load_state_dict_pre_hook(_with_prefix)  # type: ignore[no-untyped-call]

    def forward(self, visible: Tensor | None, infrared: Tensor | None) -> Tensor:
        """Compute features for training. With several processes, each embeds a share, and all get all features.

        Args:
            visible: ``[Nv, 3, H, W]`` normalised images, or None.
            infrared: ``[Ni, 3, H, W]`` normalised images, or None.

        Returns:
            ``[Nv + Ni, D]`` float32, visible rows first, not normalised.

        Raises:
            ValueError: neither modality is given.
            UsageError: in training, ``bn_groups`` or the number of processes does not divide the batch.
        """
        if self.training:
            self._count_batch({"visible": visible, "infrared": infrared})
        device = next(self.parameters()).device.type
        with torch.autocast(device, dtype=self.precision, enabled=self.precision is not None):
            if self.training and world_size() > 1:
                return self._embed_share(visible, infrared)
            return self._embed_parts(visible, infrared)

    def embed(self, images: Tensor, modality: Modality) -> Tensor:
        """Compute unit features of one modality, ``[B, 3, H, W]`` to ``[B, D]``; test in evaluation mode."""
        feature = self(images, None) if modality == "visible" else self(None, images)
        return F.normalize(feature, dim=1)

    def _count_batch(self, images: Mapping[str, Tensor | None]) -> None:
        """Advance the batch counters of the layers that take part: all but those of a modality without images."""
        unused = {name for name, given in images.items() if given is None}
        count_batch([self.neck, *(norm for name, norms in self._norms.items() if name not in unused for norm in norms)])

    def _embed_share(self, visible: Tensor | None, infrared: Tensor | None) -> Tensor:
        given = [part for part in (visible, infrared) if part is not None]
        sizes, shares = [len(part) for part in given], [local_slice(len(part)) for part in given]
        if self.groups > 1 and not parts_fit(sizes, self.groups):
            raise UsageError(
                f"batches of {sizes} images cannot be cut into encoder.bn_groups={self.groups} equal parts "
                f"by {world_size()} processes; give --set encoder.bn=sync"
            )
        parts = iter(shares)
        cut = (None if part is None else part[next(parts)] for part in (visible, infrared))
        features = self._embed_parts(*cut).split([own.stop - own.start for own in shares])
        return torch.cat([all_gather_rows(*each) for each in zip(features, shares, sizes, strict=True)])

    def _embed_parts(self, visible: Tensor | None, infrared: Tensor | None) -> Tensor:
        network, maps = self.network, []
        if visible is not None:
            maps.append(network.visible(visible.contiguous(memory_format=network.memory_format)))
        if infrared is not None:
            maps.append(network.infrared(infrared.contiguous(memory_format=network.memory_format)))
        if not maps:
            raise ValueError("no images: give a visible batch, an infrared batch, or both")
        if self.training and self.groups > world_size():
            return self._grouped(maps, self.groups // world_size())
        return self._embed_maps(torch.cat(maps))

    def _embed_maps(self, maps: Tensor) -> Tensor:
        pooled = self.network.pool(maps)
        with torch.autocast(pooled.device.type, enabled=False):
            feature: Tensor = self.neck(pooled.float())
        return feature

    def _grouped(self, maps: list[Tensor], parts: int) -> Tensor:
        """Embed with the rows in the order of the parts, so that part j of both modalities is contiguous."""
        sizes = [len(each) for each in maps]
        if any(size % parts for size in sizes):
            raise UsageError(
                f"batches of {sizes} images cannot be cut into encoder.bn_groups={self.groups} equal parts"
            )
        rows = [torch.arange(size, device=maps[0].device) + sum(sizes[:i]) for i, size in enumerate(sizes)]
        order = torch.cat([row for part in zip(*(row.chunk(parts) for row in rows), strict=True) for row in part])
        return self._embed_maps(torch.cat(maps)[order])[order.argsort()]


def build_encoder(config: EncoderConfig, seed: int, height: int = 288, width: int = 144) -> TwoStreamEncoder:
    """Build an encoder with random weights drawn from ``seed``; global random state is not changed.

    Args:
        config: settings of the encoder; its ``name`` selects the network.
        seed: seed of the weights.
        height: height of the images in pixels, which the weights of some networks depend on.
        width: width of the images in pixels.

    Raises:
        UsageError: the name is unknown, the network lacks a required part, or it does not fit the image size.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed GPUs too
        network = new_network(config, height, width)
        encoder = TwoStreamEncoder(network, config.bn_groups)
    return encoder.to(memory_format=network.memory_format)  # type: ignore[call-overload,no-any-return]


def _without_prefix(module: nn.Module, state: dict[str, Tensor], prefix: str, metadata: dict[str, Any]) -> None:
    """Remove ``network.`` from the names; the order of entries stays."""
    for key in [key for key in state if key.startswith(prefix)]:
        state[prefix + key.removeprefix(prefix).removeprefix(NETWORK)] = state.pop(key)


def _with_prefix(state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Undo :func:`_without_prefix`."""
    for key in [key for key in state if key.startswith(prefix)]:
        name = key.removeprefix(prefix)
        state[prefix + (name if name.startswith("neck.") else NETWORK + name)] = state.pop(key)
