"""Vision Transformers as embedding networks: a patch embedding for each modality, shared blocks, a class token.

Dosovitskiy et al., ICLR 2021. The shared parameters have timm's names (``cls_token``, ``pos_embed``,
``blocks.0.attn.qkv.weight``, ``norm.weight`` ...), which files of DINO and DeiT also have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from usvi_bench.components.encoder.network import EmbeddingNetwork, EncoderConfig
from usvi_bench.components.encoder.public_file import PublicFile
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import ENCODERS

EPS = 1e-6
"""Epsilon of layer normalisation."""


class PatchStem(nn.Module):
    """Patch embedding: ``[B, 3, H, W]`` to ``[B, H/patch * W/patch, dim]``, in row-major order."""

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
    """MLP: two linear layers with an exact GELU between them; the inner width is ``4 * dim``."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class Block(nn.Module):
    """Pre-norm block: attention, then the MLP, each with a shortcut."""

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
    """Two-stream Vision Transformer; the feature is the class token after the final normalisation.

    Layer normalisation works on single images, so ``bn_groups`` affects only the encoder's neck.
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
    """Number of attention heads of a block."""

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
        tokens = torch.cat([self.cls_token.expand(maps.shape[0], -1, -1), maps], dim=1) + self.pos_embed
        feature: Tensor = self.norm(self.blocks(tokens)[:, 0])
        return feature

    def compile_shared(self) -> None:
        self.blocks.compile()

    def from_public(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        """Convert weights of timm, DINO or DeiT: the patch embedding is copied to both stems, the classifier dropped.

        Position embeddings are resized to the grid of the images, see :func:`resize_positions`.

        Raises:
            UsageError: another patch size, width or depth, or positions other than a class token and a square grid.
        """
        if "patch_embed.proj.weight" not in state or "pos_embed" not in state:
            return None
        projection = state["patch_embed.proj.weight"]
        if projection.dim() != 4:
            raise UsageError(
                f"patch_embed.proj.weight has the shape {list(projection.shape)}, not that of a convolution; "
                "give a file of a plain ViT"
            )
        depth = len({key.split(".")[1] for key in state if key.startswith("blocks.")})
        found = {"patch size": projection.shape[-1], "width": len(projection), "depth": depth}
        own = {"patch size": self.patch, "width": self.dim, "depth": self.depth}
        if found != own:
            wrong = ", ".join(
                f"{name} {found[name]} instead of {own[name]}" for name in own if found[name] != own[name]
            )
            raise UsageError(
                f"the file holds a ViT of {wrong}; give a file that fits the encoder, or change encoder.name"
            )
        dropped = ("patch_embed.", "head.", "pre_logits.", "pos_embed")
        shared = {key: value for key, value in state.items() if not key.startswith(dropped)}
        stem = {key.removeprefix("patch_embed."): v for key, v in state.items() if key.startswith("patch_embed.")}
        stems = {f"{part}.{key}": value for part in ("visible", "infrared") for key, value in stem.items()}
        return {**shared, **stems, "pos_embed": resize_positions(state["pos_embed"], self.grid)}


def resize_positions(positions: Tensor, grid: tuple[int, int]) -> Tensor:
    """Resize position embeddings of square images to another grid, as timm does.

    The interpolation is bicubic with antialiasing and ``align_corners=False``, in float32. The embedding of the class
    token does not change, nor does a grid of equal size.

    >>> resize_positions(torch.zeros(1, 1 + 14 * 14, 384), grid=(16, 8)).shape
    torch.Size([1, 129, 384])

    Args:
        positions: ``[1, 1 + side * side, dim]``, class token first.
        grid: rows and columns of patches.

    Returns:
        ``[1, 1 + rows * columns, dim]``.

    Raises:
        UsageError: the positions are not those of a class token and a square grid.
    """
    side = math.isqrt(max(0, positions.shape[1] - 1)) if positions.dim() == 3 and len(positions) == 1 else 0
    if side == 0 or positions.shape[1] != 1 + side * side:
        raise UsageError(
            f"pos_embed has the shape {list(positions.shape)}, not that of a class token and a square grid; "
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
    """ViT-S/16; features of length 384."""

    summary = "ViT-S/16, a patch embedding for each modality; features of 384"
    public_file = PublicFile(
        "https://dl.fbaipublicfiles.com/deit/deit_small_patch16_224-cd65a155.pth", timm="deit_small_patch16_224.fb_in1k"
    )
    dim, depth, heads = 384, 12, 6


@ENCODERS.register("vit_b16")
class ViTBase(VisionTransformer):
    """ViT-B/16; features of length 768."""

    summary = "ViT-B/16, a patch embedding for each modality; features of 768"
    public_file = PublicFile(
        "https://dl.fbaipublicfiles.com/deit/deit_base_patch16_224-b5f2ef4d.pth", timm="deit_base_patch16_224.fb_in1k"
    )
    dim, depth, heads = 768, 12, 12
