"""The two-stream encoder of visible-infrared re-identification: a stem per modality, one trunk, GeM and a BN neck."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from usvi_bench.components.encoder.resnet import BasicBlock, Bottleneck, GroupedBatchNorm, Stem, Trunk, initialise
from usvi_bench.core.distributed.batch_norm import parts_fit
from usvi_bench.core.distributed.collectives import all_gather_rows, local_slice, world_size
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import ENCODERS
from usvi_bench.core.types import Modality


@dataclass(frozen=True)
class EncoderConfig:
    """Which network embeds the images.

    Attributes:
        name: registered name: ``resnet50``, or ``small`` (basic blocks, for a CPU).
        width: channels of the small encoder's first stage; its feature has ``8 * width``. ResNet-50 has its own.
            In minutes on two cores 16 learns more than 24 or 32, which take fewer steps.
        non_local: insert non-local blocks (on in AGW, PGM, PCLHD; off in ADCA, RPNR).
        bn_groups: parts that each modality's batch is cut into for batch normalisation; part j of both modalities
            is normalised together. The published recipes had one part per GPU (2 or 4). ``encoder.bn`` says the same
            by name: ``sync`` (1, over however many GPUs), ``per_gpu`` (one a process) or ``groups=g``.
    """

    name: str = "resnet50"
    width: int = 16
    non_local: bool = False
    bn_groups: int = 1

    def __post_init__(self) -> None:
        if self.bn_groups < 1:
            raise UsageError(f"encoder.bn_groups={self.bn_groups} must be at least 1")
        # torch 2.13's CPU convolutions corrupt the heap in the backward pass of 4 channels in channels-last memory
        if self.width < 8 or self.width % 8:
            raise UsageError(f"encoder.width={self.width} must be a multiple of 8")


class TwoStreamEncoder(nn.Module):
    """AGW's two-stream network (mangye16/Cross-Modal-Re-ID-baseline @e817a26).

    Modalities have a stem each and meet in the trunk, where batch normalisation sees both at once. Generalised-mean
    pooling with a constant ``p = 3``, then batch normalisation whose shift is frozen at 0; its output is the feature.

    Args:
        visible: stem of visible images.
        infrared: stem of infrared images.
        trunk: shared stages.
        groups: parts that each modality's batch is cut into for batch normalisation.

    Attributes:
        feature_dim: length D of a feature.
        precision: type that convolutions compute in (``torch.bfloat16``), or None for the weights' own; pooling and
            neck stay in float32.
    """

    precision: torch.dtype | None = None

    def __init__(self, visible: Stem, infrared: Stem, trunk: Trunk, groups: int) -> None:
        super().__init__()
        self.visible = visible
        self.infrared = infrared
        self.trunk = trunk
        self.feature_dim = trunk.channels
        self.neck = GroupedBatchNorm(self.feature_dim, groups)
        self.neck.bias.requires_grad_(False)
        self.groups = groups
        initialise(self)
        nn.init.normal_(self.neck.weight, 1.0, 0.01)

    def forward(self, visible: Tensor | None, infrared: Tensor | None) -> Tensor:
        """Features to train on. Processes that share a training embed a share each, and all get all features.

        Args:
            visible: ``[Nv, 3, H, W]`` normalised images, or None.
            infrared: ``[Ni, 3, H, W]``, or None.

        Returns:
            ``[Nv + Ni, D]`` float32, visible rows first, not normalised.

        Raises:
            ValueError: neither modality given.
            UsageError: in training, a batch that ``bn_groups`` or the processes do not divide.
        """
        device = next(self.parameters()).device.type
        with torch.autocast(device, dtype=self.precision, enabled=self.precision is not None):
            if self.training and world_size() > 1:
                return self._embed_share(visible, infrared)
            return self._embed_stems(visible, infrared)

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
        features = self._embed_stems(*cut).split([own.stop - own.start for own in shares])
        return torch.cat([all_gather_rows(*each) for each in zip(features, shares, sizes, strict=True)])

    def _embed_stems(self, visible: Tensor | None, infrared: Tensor | None) -> Tensor:
        maps = []
        if visible is not None:
            maps.append(self.visible(_channels_last(visible)))
        if infrared is not None:
            maps.append(self.infrared(_channels_last(infrared)))
        if not maps:
            raise ValueError("no images: give a visible batch, an infrared batch, or both")
        if self.training and self.groups > world_size():
            return self._grouped(maps, self.groups // world_size())
        return self._embed_maps(torch.cat(maps))

    def embed(self, images: Tensor, modality: Modality) -> Tensor:
        """Unit features of one modality: ``[B, 3, H, W]`` to ``[B, D]``; call in evaluation mode to test or cluster."""
        feature = self(images, None) if modality == "visible" else self(None, images)
        return F.normalize(feature, dim=1)

    def _embed_maps(self, maps: Tensor) -> Tensor:
        pooled = generalised_mean(self.trunk(maps))
        with torch.autocast(pooled.device.type, enabled=False):
            feature: Tensor = self.neck(pooled)
        return feature

    def _grouped(self, maps: list[Tensor], parts: int) -> Tensor:
        """Order rows by part, so that the trunk's normalisation finds part j of both modalities side by side."""
        sizes = [len(each) for each in maps]
        if any(size % parts for size in sizes):
            raise UsageError(
                f"batches of {sizes} images cannot be cut into encoder.bn_groups={self.groups} equal parts"
            )
        rows = [torch.arange(size, device=maps[0].device) + sum(sizes[:i]) for i, size in enumerate(sizes)]
        order = torch.cat([row for part in zip(*(row.chunk(parts) for row in rows), strict=True) for row in part])
        return self._embed_maps(torch.cat(maps)[order])[order.argsort()]


def generalised_mean(maps: Tensor, p: float = 3.0) -> Tensor:
    """``(mean(x^p) + 1e-12)^(1/p)`` over a non-negative map, ``[B, C, H, W]`` to ``[B, C]``, in float32."""
    return (maps.float().pow(p).mean((2, 3)) + 1e-12).pow(1 / p)


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


@ENCODERS.register("resnet50")
class ResNet50Encoder(TwoStreamEncoder):
    """ResNet-50 with last stride 1; 288x144 images, features of 2048."""

    def __init__(self, config: EncoderConfig) -> None:
        groups = config.bn_groups
        non_local = {2: (2, 3), 3: (3, 4, 5)} if config.non_local else None
        trunk = Trunk(Bottleneck, (3, 4, 6, 3), 64, groups, non_local)
        super().__init__(Stem(64, groups), Stem(64, groups), trunk, groups)


@ENCODERS.register("small")
class SmallEncoder(TwoStreamEncoder):
    """One basic block a stage, for 128x64 images on a CPU; features of ``8 * width``."""

    def __init__(self, config: EncoderConfig) -> None:
        groups = config.bn_groups
        non_local = {2: (0,), 3: (0,)} if config.non_local else None
        trunk = Trunk(BasicBlock, (1, 1, 1, 1), config.width, groups, non_local)
        super().__init__(Stem(config.width, groups), Stem(config.width, groups), trunk, groups)


def build_encoder(config: EncoderConfig, seed: int) -> TwoStreamEncoder:
    """A new encoder with random weights drawn from ``seed``; global random state is left as it was.

    Raises:
        UsageError: unknown name.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed GPUs too
        encoder: TwoStreamEncoder = ENCODERS.get(config.name)(config)
    return encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
