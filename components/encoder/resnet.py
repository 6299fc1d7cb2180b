"""ResNet in two parts, a stem and a trunk, so that each modality can have its own stem.

Parameter names are torchvision's (``conv1``, ``bn1``, ``layer1.0.conv1`` ...), so its files load without renaming.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from usvi_bench.components.encoder.batch_norm import GroupedBatchNorm


class BasicBlock(nn.Module):
    """Basic block: two 3x3 convolutions and a shortcut (ResNet-18)."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1 = GroupedBatchNorm(width, groups)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = GroupedBatchNorm(width, groups)
        self.downsample = _shortcut(inputs, width, stride, groups)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        return F.relu(out + (self.downsample(x) if self.downsample else x), inplace=True)


class Bottleneck(nn.Module):
    """Bottleneck block: 1x1, 3x3 and 1x1 convolutions and a shortcut (ResNet-50); the 3x3 one has the stride."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, groups: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = GroupedBatchNorm(width, groups)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = GroupedBatchNorm(width, groups)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = GroupedBatchNorm(outputs, groups)
        self.downsample = _shortcut(inputs, outputs, stride, groups)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = F.relu(self.bn2(self.conv2(out)), inplace=True)
        out = self.bn3(self.conv3(out))
        return F.relu(out + (self.downsample(x) if self.downsample else x), inplace=True)


def _shortcut(inputs: int, outputs: int, stride: int, groups: int) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), GroupedBatchNorm(outputs, groups))


class NonLocal(nn.Module):
    """Non-local block: dot-product attention over positions with one inner channel, initialised as the identity.

    ``y = x + bn(out(f g))`` with ``f = theta^T phi / (H W)``. With one channel ``f`` has rank one, so the product
    is ``theta * mean(phi * g)`` and the ``HW x HW`` matrix is never formed. The width of one is what the released
    checkpoints contain (AGW, mangye16/Cross-Modal-Re-ID-baseline @e817a26; PGM, zesenwu23/USL-VI-ReID @ed4a7df).

    Args:
        channels: number of channels of the map.
        groups: number of parts of the batch that are normalised separately.
    """

    def __init__(self, channels: int, groups: int = 1) -> None:
        super().__init__()
        self.g, self.theta, self.phi = (nn.Conv2d(channels, 1, 1) for _ in range(3))
        self.out = nn.Conv2d(1, channels, 1)
        self.bn = GroupedBatchNorm(channels, groups)
        nn.init.zeros_(self.bn.weight)

    def forward(self, x: Tensor) -> Tensor:
        summary = (self.phi(x) * self.g(x)).mean((2, 3), keepdim=True)
        attended: Tensor = self.bn(self.out(self.theta(x) * summary))
        return x + attended


class Stem(nn.Module):
    """Stem: first convolution and pooling, ``[B, 3, H, W]`` to ``[B, width, H/4, W/4]``."""

    def __init__(self, width: int, groups: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, padding=3, bias=False)
        self.bn1 = GroupedBatchNorm(width, groups)

    def forward(self, images: Tensor) -> Tensor:
        return F.max_pool2d(F.relu(self.bn1(self.conv1(images)), inplace=True), 3, 2, padding=1)


class Trunk(nn.Module):
    """Trunk: the four stages, with strides 1, 2, 2 and 1, so that a map shrinks by 4.

    Args:
        block: class of the blocks.
        depths: number of blocks of each stage.
        width: channels of the input, and inner width of the first stage; the inner width doubles with every stage.
        groups: number of parts of the batch that are normalised separately.
        non_local: zero-based blocks that a non-local block follows, by the number of the stage (1 to 4).

    Attributes:
        channels: number of channels of the output.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: Sequence[int],
        width: int,
        groups: int = 1,
        non_local: Mapping[int, Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        self.channels = width
        self.non_local = nn.ModuleDict()
        for stage, (depth, stride) in enumerate(zip(depths, (1, 2, 2, 1), strict=True), start=1):
            blocks = nn.ModuleList()
            for index in range(depth):
                inner = width * 2 ** (stage - 1)
                blocks.append(block(self.channels, inner, stride if index == 0 else 1, groups))
                self.channels = inner * block.expansion
                if non_local and index in non_local.get(stage, ()):
                    self.non_local[f"layer{stage}_{index}"] = NonLocal(self.channels, groups)
            self.add_module(f"layer{stage}", blocks)

    def forward(self, x: Tensor) -> Tensor:
        for stage in ("layer1", "layer2", "layer3", "layer4"):
            for index, block in enumerate(self.get_submodule(stage).children()):
                x = block(x)
                if f"{stage}_{index}" in self.non_local:
                    x = self.non_local[f"{stage}_{index}"](x)
        return x


def initialise(module: nn.Module) -> None:
    """Apply He initialisation to all convolutions except those of non-local blocks (torchvision's rule for ResNets)."""
    for name, child in module.named_modules():
        if isinstance(child, nn.Conv2d) and "non_local" not in name:
            nn.init.kaiming_normal_(child.weight, mode="fan_out", nonlinearity="relu")
