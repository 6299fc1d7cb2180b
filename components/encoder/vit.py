"""Vision Transformers as embedding networks: a patch embedding for each modality, shared blocks, a class token.

Dosovitskiy et al., ICLR 2021. Names of the shared parameters are timm's (``cls_token``, ``pos_embed``,
``blocks.0.attn.qkv.weight``, ``norm.weight`` ...), which DINO's and DeiT's files have too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from usvi_bench.components.encoder.network import EmbeddingNetwork, EncoderConfig
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import ENCODERS

EPS = 1e-6
"""Of layer normalisation."""


class PatchStem(nn.Module):
    """Patch embedding: ``[B, 3, H, W]`` to ``[B, H/patch * W/patch, dim]``, row after row."""

    def __init__(self, patch: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, patch, patch)

    def forward(self, images: Tensor) -> Tensor:
        patches: Tensor = self.proj(images)
        return patches.flatten(2).transpose(1, 2)


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, dim = x.shape
        q, k, v = self.qkv(x).view(batch, tokens, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        out: Tensor = self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, dim))
        return out


class MLP(nn.Module):
    """Two linear layers with an exact GELU between them; four times as wide inside."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class Block(nn.Module):
    """Pre-norm block: attention, then the MLP, each beside a shortcut."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, EPS)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, EPS)
        self.mlp = MLP(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class VisionTransformer(EmbeddingNetwork):
    """Two-stream ViT; the feature is the class token after the final normalisation.

    Layer normalisation takes one image at a time, so ``bn_groups`` concerns the encoder's neck alone.
    """

    Config = EncoderConfig
    public_weights = "timm's, DINO's or DeiT's file of this ViT"
    patch: ClassVar[int] = 16
    """Side of a patch in pixels."""
    dim: ClassVar[int]
    """Length of a token."""
    depth: ClassVar[int]
    """Number of blocks."""
    heads: ClassVar[int]
    """Attention heads of a block."""

    def __init__(self, config: EncoderConfig, height: int, width: int) -> None:
        super().__init__(config, height, width)
        if height % self.patch or width % self.patch:
            fit = " and ".join(
                f"data.{name}={max(1, round(size / self.patch)) * self.patch}"
                for name, size in (("height", height), ("width", width))
            )
            raise UsageError(
                f"images of data.height={height} x data.width={width} pixels cannot be cut into {config.name}'s "
                f"patches of {self.patch}x{self.patch}; give multiples of {self.patch}, such as {fit}"
            )
        self.grid = height // self.patch, width // self.patch
        self.feature_dim = self.dim
        self.visible = PatchStem(self.patch, self.dim)
        self.infrared = PatchStem(self.patch, self.dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, self.dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + math.prod(self.grid), self.dim))
        self.blocks = nn.Sequential(*(Block(self.dim, self.heads) for _ in range(self.depth)))
        self.norm = nn.LayerNorm(self.dim, EPS)
        self._initialise()

    def _initialise(self) -> None:
        """Initialise as timm does: truncated normal of 0.02 for linear layers and positions, shifts of 0."""
        nn.init.normal_(self.cls_token, std=1e-6)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def pool(self, maps: Tensor) -> Tensor:
        tokens = torch.cat([self.cls_token.expand(len(maps), -1, -1), maps], dim=1) + self.pos_embed
        feature: Tensor = self.norm(self.blocks(tokens)[:, 0])
        return feature

    def compile_shared(self) -> None:
        self.blocks.compile()

    def from_public(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        """Convert timm's, DINO's or DeiT's weights: the patch embedding fills both stems, the classifier is dropped.

        Position embeddings are resized to the grid of the images, see :func:`resize_positions`.

        Raises:
            UsageError: another patch size, width or depth, or positions that are no square grid with a class token.
        """
        if "patch_embed.proj.weight" not in state or "pos_embed" not in state:
            return None
        projection = state["patch_embed.proj.weight"]
        depth = len({key.split(".")[1] for key in state if key.startswith("blocks.")})
        found = {"patch size": projection.shape[-1], "width": len(projection), "depth": depth}
        own = {"patch size": self.patch, "width": self.dim, "depth": self.depth}
        if found != own:
            wrong = ", ".join(
                f"{what} {found[what]} instead of {own[what]}" for what in own if found[what] != own[what]
            )
            raise UsageError(f"a ViT of {wrong}; give a file that fits the encoder, or another encoder.name")
        dropped = ("patch_embed.", "head.", "pre_logits.", "pos_embed")
        shared = {key: value for key, value in state.items() if not key.startswith(dropped)}
        stem = {key.removeprefix("patch_embed."): v for key, v in state.items() if key.startswith("patch_embed.")}
        stems = {f"{part}.{key}": value for part in ("visible", "infrared") for key, value in stem.items()}
        return {**shared, **stems, "pos_embed": resize_positions(state["pos_embed"], self.grid)}


def resize_positions(positions: Tensor, grid: tuple[int, int]) -> Tensor:
    """Resize position embeddings of square images to another grid, as timm does.

    Bicubic with antialiasing and ``align_corners=False``, in float32; that of the class token stays. A grid of equal
    size is left as it is.

    Args:
        positions: ``[1, 1 + side * side, dim]``, class token first.
        grid: rows and columns of patches.

    Returns:
        ``[1, 1 + rows * columns, dim]``.

    Raises:
        UsageError: no such number of positions.
    """
    side = math.isqrt(max(0, positions.shape[1] - 1)) if positions.dim() == 3 else 0
    if side == 0 or positions.shape[1] != 1 + side * side:
        raise UsageError(
            f"a ViT whose pos_embed, {list(positions.shape)}, is not of a class token and a square grid; "
            "give a file of a plain ViT, without a distillation token or registers"
        )
    if (side, side) == grid:
        return positions
    first, rest = positions.float().split([1, side * side], dim=1)
    maps = rest.view(1, side, side, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(maps, size=grid, mode="bicubic", antialias=True)
    return torch.cat([first, resized.flatten(2).transpose(1, 2)], dim=1).to(positions.dtype)


@ENCODERS.register("vit_s16")
class ViTSmall(VisionTransformer):
    """ViT-S/16; features of 384."""

    summary = "ViT-S/16, a patch embedding for each modality; features of 384"
    dim, depth, heads = 384, 12, 6


@ENCODERS.register("vit_b16")
class ViTBase(VisionTransformer):
    """ViT-B/16; features of 768."""

    summary = "ViT-B/16, a patch embedding for each modality; features of 768"
    dim, depth, heads = 768, 12, 12
