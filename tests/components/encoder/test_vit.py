"""Vision Transformers: against torch's own layer, against the formula, and with files that have timm's names."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from usvi_bench.components.encoder.network import EncoderConfig
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder, build_encoder
from usvi_bench.components.encoder.vit import Block, VisionTransformer, ViTBase, ViTSmall, resize_positions
from usvi_bench.components.encoder.weights import load_weights
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import ENCODERS

HEIGHT, WIDTH = 64, 32


class TinyViT(VisionTransformer):
    dim, depth, heads = 24, 2, 3


@pytest.fixture(autouse=True)
def tiny():
    ENCODERS.register("tiny_vit")(TinyViT)
    yield
    ENCODERS.forget("tiny_vit")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, HEIGHT, WIDTH, generator=generator(seed))


def encoder(seed: int = 0, groups: int = 1, height: int = HEIGHT) -> TwoStreamEncoder:
    return build_encoder(EncoderConfig("tiny_vit", groups), seed, height, WIDTH)


def shake(module: nn.Module) -> None:
    """Give every parameter a value of its own, so that no term is hidden by a zero or a one."""
    draw = generator(5)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=draw) + (parameter.dim() == 1) * 0.5)


def timm_file(dim: int = 24, depth: int = 2, patch: int = 16, side: int = 14) -> dict[str, Tensor]:
    """State dict with the names and shapes of timm's ``vit_*_patch16_224``, spelt out."""
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, dim),
        "pos_embed": (1, 1 + side * side, dim),
        "patch_embed.proj.weight": (dim, 3, patch, patch),
        "patch_embed.proj.bias": (dim,),
        "norm.weight": (dim,),
        "norm.bias": (dim,),
        "head.weight": (1000, dim),
        "head.bias": (1000,),
    }
    for i in range(depth):
        for name, shape in {
            "norm1": (dim,), "attn.qkv": (3 * dim, dim), "attn.proj": (dim, dim),
            "norm2": (dim,), "mlp.fc1": (4 * dim, dim), "mlp.fc2": (dim, 4 * dim),
        }.items():  # fmt: skip
            shapes |= {f"blocks.{i}.{name}.weight": shape, f"blocks.{i}.{name}.bias": shape[:1]}
    draw = generator(7)
    return {name: torch.randn(shape, generator=draw) for name, shape in shapes.items()}


def test_a_block_is_torch_s_own_layer() -> None:
    block = Block(24, 3)
    shake(block)
    layer = nn.TransformerEncoderLayer(
        24, 3, 96, dropout=0, activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
    )
    layer.load_state_dict(
        {
            "self_attn.in_proj_weight": block.attn.qkv.weight,
            "self_attn.in_proj_bias": block.attn.qkv.bias,
            "self_attn.out_proj.weight": block.attn.proj.weight,
            "self_attn.out_proj.bias": block.attn.proj.bias,
            "linear1.weight": block.mlp.fc1.weight,
            "linear1.bias": block.mlp.fc1.bias,
            "linear2.weight": block.mlp.fc2.weight,
            "linear2.bias": block.mlp.fc2.bias,
            **{f"{n}.{p}": getattr(getattr(block, n), p) for n in ("norm1", "norm2") for p in ("weight", "bias")},
        }
    )
    x = torch.randn(2, 9, 24, generator=generator(), requires_grad=True)
    other = x.detach().clone().requires_grad_()
    found, expected = block(x), layer(other)
    assert torch.allclose(found, expected, atol=1e-5)
    direction = torch.randn(found.shape, generator=generator(1))
    (found * direction).sum().backward()
    (expected * direction).sum().backward()
    assert x.grad is not None
    assert other.grad is not None
    assert torch.allclose(x.grad, other.grad, rtol=1e-4, atol=1e-4)


def naive_norm(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    centred = x - x.mean()
    return centred / (centred.square().mean() + 1e-6).sqrt() * norm.weight + norm.bias


def naive_vit(network: VisionTransformer, stem: nn.Module, image: Tensor) -> Tensor:
    """One image, token by token and head by head."""
    projection = stem.proj
    tokens = [network.cls_token[0, 0]]
    for row in range(image.shape[1] // 16):
        for column in range(image.shape[2] // 16):
            patch = image[:, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
            tokens.append(projection.weight.flatten(1) @ patch.flatten() + projection.bias)
    tokens = [token + position for token, position in zip(tokens, network.pos_embed[0], strict=True)]
    for block in network.blocks:
        attention, dim, size = block.attn, network.dim, network.dim // network.heads
        normed = [naive_norm(token, block.norm1) for token in tokens]
        triples = [attention.qkv.weight @ token + attention.qkv.bias for token in normed]
        mixed = []
        for one in triples:
            heads = []
            for head in range(network.heads):
                at = slice(head * size, (head + 1) * size)
                logits = torch.stack([one[:dim][at] @ other[dim : 2 * dim][at] / math.sqrt(size) for other in triples])
                values = torch.stack([other[2 * dim :][at] for other in triples])
                heads.append(logits.softmax(0) @ values)
            mixed.append(attention.proj.weight @ torch.cat(heads) + attention.proj.bias)
        tokens = [token + each for token, each in zip(tokens, mixed, strict=True)]
        for i, token in enumerate(tokens):
            inner = block.mlp.fc1.weight @ naive_norm(token, block.norm2) + block.mlp.fc1.bias
            inner = inner * 0.5 * (1 + torch.erf(inner / math.sqrt(2)))
            tokens[i] = token + block.mlp.fc2.weight @ inner + block.mlp.fc2.bias
    return naive_norm(tokens[0], network.norm)


def test_the_feature_is_the_neck_of_a_naive_forward_pass() -> None:
    model = encoder().eval()
    shake(model.network)
    with torch.no_grad():
        visible, infrared = images(2), images(1, 1)
        pooled = [naive_vit(model.network, model.network.visible, image) for image in visible]
        pooled += [naive_vit(model.network, model.network.infrared, image) for image in infrared]
        expected = torch.stack(pooled) / math.sqrt(1 + model.neck.eps) * model.neck.weight
        found = model(visible, infrared)
    assert found.shape == (3, 24)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(model.embed(visible, "visible"), model.embed(visible, "infrared"), atol=1e-2)


@pytest.mark.parametrize(
    ("network", "parameters"),
    [(ViTSmall, 21_665_664), (ViTBase, 85_798_656)],
)
def test_sizes_are_the_published_ones(network: type[VisionTransformer], parameters: int) -> None:
    """timm's ``vit_small_patch16_224`` and ``vit_base_patch16_224`` without classifier, as counted by timm."""
    with torch.device("meta"):
        model = network(EncoderConfig("vit"), 224, 224)
    own = sum(parameter.numel() for parameter in model.parameters())
    assert own - sum(parameter.numel() for parameter in model.infrared.parameters()) == parameters


@pytest.mark.parametrize("groups", [1, 2])
def test_every_parameter_is_trained(groups: int) -> None:
    model = encoder(groups=groups)
    model(images(4), images(4, 1)).square().sum().backward()
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert without == ["neck.bias"]


def test_parts_for_batch_norm_concern_the_neck_alone() -> None:
    model, visible, infrared = encoder(groups=2), images(4), images(4, 1)
    found = model(visible, infrared)
    with torch.no_grad():
        network = model.network
        pooled = network.pool(torch.cat([network.visible(visible), network.infrared(infrared)]))
    for part in ([0, 1, 4, 5], [2, 3, 6, 7]):
        rows = pooled[part]
        normed = (rows - rows.mean(0)) / (rows.var(0, unbiased=False) + model.neck.eps).sqrt() * model.neck.weight
        assert torch.allclose(found[part], normed, atol=1e-4)


def test_half_precision_returns_float32_features_near_the_full_ones() -> None:
    model = encoder().eval()
    with torch.no_grad():
        full = model(images(2), images(2, 1))
        model.precision = "bf16"
        half = model(images(2), images(2, 1))
    assert half.dtype == torch.float32
    assert not torch.equal(half, full)
    assert F.cosine_similarity(half, full).min() > 0.99


def test_new_weights_come_from_the_seed_alone() -> None:
    first, again, other = (encoder(seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["blocks.0.attn.qkv.weight"], other["blocks.0.attn.qkv.weight"])
    assert not torch.equal(first["visible.proj.weight"], first["infrared.proj.weight"])
    assert first["pos_embed"].std().item() == pytest.approx(0.02, rel=0.2)


@pytest.mark.parametrize("kind", ["pth", "safetensors", "wrapped"])
def test_a_file_with_timm_s_names_fills_both_stems_and_the_shared_part(tmp_path: Path, kind: str) -> None:
    state, path = timm_file(), tmp_path / f"vit.{'safetensors' if kind == 'safetensors' else 'pth'}"
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save({"model": state} if kind == "wrapped" else state, path)
    model = encoder()
    neck = model.neck.weight.clone()
    assert load_weights(model, path) == hashlib.sha256(path.read_bytes()).hexdigest()
    loaded = model.state_dict()
    for name, value in state.items():
        if name.startswith("patch_embed."):
            assert torch.equal(loaded[f"visible.{name.removeprefix('patch_embed.')}"], value)
            assert torch.equal(loaded[f"infrared.{name.removeprefix('patch_embed.')}"], value)
        elif not name.startswith("head.") and name != "pos_embed":
            assert torch.equal(loaded[name], value), name
    assert loaded["pos_embed"].shape == (1, 1 + 4 * 2, 24)
    assert torch.equal(loaded["pos_embed"], resize_positions(state["pos_embed"], (4, 2)))
    assert torch.equal(model.neck.weight, neck)


def test_own_weights_round_trip_and_need_images_of_their_size(tmp_path: Path) -> None:
    source, target, path = encoder(0), encoder(1), tmp_path / "own.pth"
    torch.save(source.state_dict(), path)
    load_weights(target, path)
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in target.state_dict().items())
    with pytest.raises(UsageError, match=r"own\.pth.*pos_embed.*data\.height"):
        load_weights(encoder(height=128), path)


def test_positions_of_the_class_token_and_of_an_equal_grid_stay() -> None:
    positions = torch.randn(1, 1 + 14 * 14, 8, generator=generator())
    assert torch.equal(resize_positions(positions, (14, 14)), positions)
    resized = resize_positions(positions, (16, 8))
    assert resized.shape == (1, 129, 8)
    assert torch.equal(resized[:, 0], positions[:, 0])


def test_resized_positions_are_row_after_row() -> None:
    """A ramp from top to bottom stays one, and none appears from left to right."""
    rows = torch.arange(14.0).view(14, 1).expand(14, 14)
    positions = torch.cat([torch.zeros(1, 1, 1), rows.reshape(1, 196, 1)], dim=1)
    resized = resize_positions(positions, (28, 7))[0, 1:, 0].view(28, 7)
    assert torch.allclose(resized, resized[:, :1].expand(28, 7), atol=1e-5)
    assert torch.allclose(resized[4:24, 0], (torch.arange(4.0, 24) + 0.5) / 2 - 0.5, atol=1e-4)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"patch": 32}, "patch size 32 instead of 16"),
        ({"dim": 48}, "width 48 instead of 24"),
        ({"depth": 3}, "depth 3 instead of 2"),
    ],
)
def test_a_vit_of_another_size_is_refused_in_one_line(tmp_path: Path, changed: dict[str, int], message: str) -> None:
    path, model = tmp_path / "other.pth", encoder()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    torch.save(timm_file(**changed), path)
    with pytest.raises(
        UsageError, match=rf"other\.pth': the file holds a ViT of {message}; give a file that fits"
    ) as caught:
        load_weights(model, path)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("positions", [(1, 198, 24), (1, 1, 24), (197, 24), (2, 197, 24), ()])
def test_positions_that_are_no_square_grid_are_refused(tmp_path: Path, positions: tuple[int, ...]) -> None:
    torch.save({**timm_file(), "pos_embed": torch.zeros(positions)}, tmp_path / "distilled.pth")
    with pytest.raises(UsageError, match=r"pos_embed.*class token and a square grid; give"):
        load_weights(encoder(), tmp_path / "distilled.pth")


@pytest.mark.parametrize("shape", [(), (24,), (24, 3, 16)])
def test_a_patch_embedding_that_is_no_convolution_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    torch.save({**timm_file(), "patch_embed.proj.weight": torch.zeros(shape)}, tmp_path / "odd.pth")
    with pytest.raises(
        UsageError, match=r"patch_embed\.proj\.weight has the shape .*, not that of a convolution; give"
    ):
        load_weights(encoder(), tmp_path / "odd.pth")


def test_a_file_of_another_architecture_does_not_fit(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.ones(64, 3, 7, 7)}, tmp_path / "resnet.pth")
    with pytest.raises(UsageError, match=r"resnet\.pth' do not fit this encoder"):
        load_weights(encoder(), tmp_path / "resnet.pth")


@pytest.mark.parametrize(("height", "width", "remedy"), [(60, 32, 64), (64, 30, 32)])
def test_images_that_patches_do_not_fill_are_refused(height: int, width: int, remedy: int) -> None:
    with pytest.raises(UsageError, match=rf"data\.height={height} x data\.width={width}.*16x16.*={remedy}"):
        build_encoder(EncoderConfig("tiny_vit"), 0, height, width)


def test_compiling_leaves_names_and_features(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda module: compiled.append(module))
    model = encoder()
    model.network.compile_shared()
    assert compiled == [model.network.blocks]
