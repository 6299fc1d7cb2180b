"""ResNets as embedding networks: a stem for each modality, a shared trunk, generalised-mean pooling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from usvi_bench.components.encoder.network import EmbeddingNetwork, EncoderConfig
from usvi_bench.components.encoder.public_file import PublicFile
from usvi_bench.components.encoder.resnet import BasicBlock, Bottleneck, Stem, Trunk, initialise
from usvi_bench.core.bounds import bounded
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import ENCODERS


@dataclass(frozen=True)
class ResNet50Config(EncoderConfig):
    """Settings of ``resnet50``.

    Attributes:
        non_local: insert non-local blocks (on in AGW, PGM, PCLHD, RPNR; off in ADCA).
    """

    name: str = "resnet50"
    non_local: bool = False


@dataclass(frozen=True)
class SmallConfig(EncoderConfig):
    """Settings of ``small``.

    Attributes:
        width: channels of the first stage; the feature has length ``8 * width``. In a few minutes on two cores, 16
            learns more than 24 or 32, which complete fewer steps.
        non_local: insert non-local blocks.
    """

    name: str = "small"
    width: int = bounded(16, 8, 256)
    non_local: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        # torch 2.13's CPU convolutions corrupt the heap in the backward pass of 4 channels in channels-last memory
        if self.width % 8:
            raise UsageError(f"encoder.width={self.width} must be a multiple of 8")

    @property
    def variant(self) -> str:
        return f"{self.name}{self.width}"


class TwoStreamResNet(EmbeddingNetwork):
    """Two-stream ResNet: AGW's stems and trunk, and generalised-mean pooling with a constant ``p = 3``.

    Pooling is always in float32.

    Attributes:
        trunk: stages that both modalities share.
    """

    memory_format = torch.channels_last

    def assemble(self, trunk: Trunk, width: int, groups: int) -> None:
        """Set the trunk and a stem for each modality, and initialise their weights."""
        self.visible = Stem(width, groups)
        self.infrared = Stem(width, groups)
        self.trunk = trunk
        self.feature_dim = trunk.channels
        initialise(self)

    def pool(self, maps: Tensor) -> Tensor:
        return generalised_mean(self.trunk(maps))

    def compile_shared(self) -> None:
        self.trunk.compile()

    def from_public(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        """Convert torchvision's weights: its stem is copied to both stems, and its classifier is dropped.

        Non-local blocks keep their weights.
        """
        if "conv1.weight" not in state:
            return None
        kept = {key: value for key, value in self.state_dict().items() if key.startswith("trunk.non_local.")}
        stem = {key: value for key, value in state.items() if key.startswith(("conv1.", "bn1."))}
        trunk = {f"trunk.{k}": value for k, value in state.items() if k not in stem and not k.startswith("fc.")}
        stems = {f"{part}.{key}": value for part in ("visible", "infrared") for key, value in stem.items()}
        return {**kept, **trunk, **stems}


@ENCODERS.register("resnet50")
class ResNet50(TwoStreamResNet):
    """ResNet-50 with last stride 1, for 288x144 images; features of length 2048."""

    Config = ResNet50Config
    summary = "ResNet-50, last stride 1; features of 2048"
    public_file = PublicFile(
        "https://download.pytorch.org/models/resnet50-19c8e357.pth", ("resnet50-0676ba61.pth",), "resnet50.tv_in1k"
    )
    public_weights = f"torchvision's {public_file.name}"

    def __init__(self, config: ResNet50Config, height: int, width: int) -> None:
        super().__init__(config, height, width)
        non_local = {2: (2, 3), 3: (3, 4, 5)} if config.non_local else None
        self.assemble(Trunk(Bottleneck, (3, 4, 6, 3), 64, config.bn_groups, non_local), 64, config.bn_groups)


@ENCODERS.register("small")
class Small(TwoStreamResNet):
    """Small ResNet with one basic block per stage, for 128x64 images on a CPU; features of length ``8 * width``."""

    Config = SmallConfig
    summary = "one basic block per stage, for 128x64 images on a CPU"

    def __init__(self, config: SmallConfig, height: int, width: int) -> None:
        super().__init__(config, height, width)
        non_local = {2: (0,), 3: (0,)} if config.non_local else None
        trunk = Trunk(BasicBlock, (1, 1, 1, 1), config.width, config.bn_groups, non_local)
        self.assemble(trunk, config.width, config.bn_groups)


def generalised_mean(maps: Tensor, p: float = 3.0) -> Tensor:
    """Pool a non-negative map by its generalised mean, ``[B, C, H, W]`` to ``[B, C]``, in float32.

    The pooled value is ``(mean(x^p) + 1e-12)^(1/p)``; here ``sqrt((1 + 9) / 2)``:

    >>> round(generalised_mean(torch.tensor([[[[1.0, 3.0]]]]), p=2).item(), 3)
    2.236
    """
    return (maps.float().pow(p).mean((2, 3)) + 1e-12).pow(1 / p)
