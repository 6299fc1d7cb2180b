import hashlib
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F

from usvi_bench.components.encoder.batch_norm import GroupedBatchNorm
from usvi_bench.components.encoder.network import EncoderConfig
from usvi_bench.components.encoder.resnet_networks import ResNet50Config, SmallConfig, generalised_mean
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder, build_encoder
from usvi_bench.components.encoder.weights import load_weights
from usvi_bench.core.errors import UsageError

SMALL = SmallConfig(width=8)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, 32, 16, generator=generator(seed))


def torchvision_names(depths: tuple[int, ...], convolutions: int) -> set[str]:
    """List the parameter names in torchvision's ResNet files."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    names = {"conv1.weight", "fc.weight", "fc.bias", *(f"bn1.{part}" for part in norm)}
    for stage, depth in enumerate(depths, start=1):
        for block in range(depth):
            at = f"layer{stage}.{block}"
            for i in range(1, convolutions + 1):
                names |= {f"{at}.conv{i}.weight", *(f"{at}.bn{i}.{part}" for part in norm)}
        names |= {f"layer{stage}.0.downsample.0.weight", *(f"layer{stage}.0.downsample.1.{part}" for part in norm)}
    return names


@pytest.fixture(scope="module")
def resnet50() -> TwoStreamEncoder:
    return build_encoder(ResNet50Config(non_local=True), seed=0)


def torchvision_file(encoder: TwoStreamEncoder, path) -> dict[str, torch.Tensor]:
    """Write a file with torchvision's names, an encoder's shapes and random values."""
    shapes = {f"{k.removeprefix('trunk.')}": v for k, v in encoder.state_dict().items() if k.startswith("trunk.layer")}
    shapes |= {k.removeprefix("visible."): v for k, v in encoder.state_dict().items() if k.startswith("visible.")}
    draw = generator(7)
    state = {
        key: torch.rand(value.shape, generator=draw) if value.is_floating_point() else torch.tensor(3)
        for key, value in shapes.items()
    }
    state |= {"fc.weight": torch.rand(10, 4, generator=draw), "fc.bias": torch.rand(10, generator=draw)}
    torch.save(state, path)
    return state


def test_resnet50_has_the_published_parameter_counts(resnet50):
    """25.57 M used by the released code less its idle classifier of 2.048 M; 28,687 more with non-local blocks."""
    total = sum(parameter.numel() for parameter in resnet50.parameters())
    attention = sum(parameter.numel() for parameter in resnet50.network.trunk.non_local.parameters())
    trained = sum(parameter.numel() for parameter in resnet50.parameters() if parameter.requires_grad)
    assert attention == 28_687
    assert total - attention == 25_569_664 - 2_048_000
    assert trained == 23_548_303
    assert resnet50.feature_dim == 2048
    assert sorted(resnet50.network.trunk.non_local) == ["layer2_2", "layer2_3", "layer3_3", "layer3_4", "layer3_5"]


def test_resnet50_has_torchvision_names(resnet50):
    own = {key for key in resnet50.state_dict() if "non_local" not in key and not key.startswith(("neck", "infrared"))}
    own = {key.removeprefix("trunk.").removeprefix("visible.") for key in own}
    assert own == torchvision_names((3, 4, 6, 3), 3) - {"fc.weight", "fc.bias"}


def test_resnet50_embeds(resnet50):
    resnet50.eval()
    with torch.no_grad():
        features = resnet50(images(1), images(2, 1))
        assert features.shape == (3, 2048)
        assert torch.allclose(resnet50.embed(images(2, 1), "infrared"), F.normalize(features[1:], dim=1), atol=1e-5)
    assert not resnet50.training


def test_generalised_mean_is_the_loop():
    maps = torch.rand(2, 3, 4, 2, generator=generator())
    found = generalised_mean(maps)
    for b in range(2):
        for c in range(3):
            cubes = [float(value) ** 3 for value in maps[b, c].flatten()]
            assert found[b, c].item() == pytest.approx((sum(cubes) / 8 + 1e-12) ** (1 / 3), rel=1e-5)
    assert generalised_mean(torch.full((1, 1, 2, 2), 60.0, dtype=torch.float16)).item() == pytest.approx(60)


def test_feature_is_neck_of_pooled_trunk_of_both_stems():
    encoder = build_encoder(SMALL, 0).eval()
    with torch.no_grad():
        maps = torch.cat([encoder.network.visible(images(3)), encoder.network.infrared(images(2, 1))])
        pooled = generalised_mean(encoder.network.trunk(maps))
        neck = encoder.neck
        expected = (pooled - neck.running_mean) / (neck.running_var + neck.eps).sqrt() * neck.weight
        found = encoder(images(3), images(2, 1))
    assert found.shape == (5, 64)
    assert torch.allclose(found, expected, atol=1e-5)


def test_stems_are_separate_and_the_trunk_is_shared():
    encoder = build_encoder(SMALL, 0).eval()
    x = images(2)
    with torch.no_grad():
        before = encoder.embed(x, "visible"), encoder.embed(x, "infrared")
        assert not torch.allclose(*before)
        encoder.network.infrared.load_state_dict(encoder.network.visible.state_dict())
        after = encoder.embed(x, "visible"), encoder.embed(x, "infrared")
    assert torch.equal(before[0], after[0])
    assert torch.allclose(*after)


def test_training_mixes_both_modalities_in_the_shared_statistics():
    encoder = build_encoder(SMALL, 0)
    first = encoder(images(4), images(4, 1))[:4]
    second = encoder(images(4), 3 * images(4, 2))[:4]
    assert not torch.allclose(first, second, atol=1e-3)
    encoder.eval()
    with torch.no_grad():
        first = encoder(images(4), images(4, 1))[:4]
        second = encoder(images(4), 3 * images(4, 2))[:4]
        assert torch.allclose(first, second, atol=1e-5)
        assert torch.allclose(encoder(images(4), None), first, atol=1e-5)


@pytest.mark.parametrize("non_local", [False, True])
def test_bn_groups_are_replicas_on_contiguous_parts(non_local):
    """Reference: one encoder per part, each with part j of both modalities; the first one's statistics are kept."""
    config = SmallConfig(width=8, non_local=non_local, bn_groups=2)
    grouped, visible, infrared = build_encoder(config, 0), images(8), images(4, 1)
    replicas = []
    for part in range(2):
        replica = build_encoder(SmallConfig(width=8, non_local=non_local), 1)
        replica.load_state_dict(grouped.state_dict())
        replicas.append((replica, replica(visible[4 * part :][:4], infrared[2 * part :][:2])))
    outs = [out for _, out in replicas]
    expected = torch.cat([outs[0][:4], outs[1][:4], outs[0][4:], outs[1][4:]])
    assert torch.allclose(grouped(visible, infrared), expected, atol=1e-4)
    for name, buffer in replicas[0][0].named_buffers():
        assert torch.allclose(grouped.get_buffer(name), buffer, atol=1e-5), name
    assert grouped(visible, None).shape == (8, 64)
    with pytest.raises(UsageError, match="bn_groups=2"):
        grouped(images(3), infrared)


def test_half_precision_returns_float32_features_near_the_full_ones():
    encoder = build_encoder(SMALL, 0).eval()
    with torch.no_grad():
        full = encoder(images(4), images(2, 1))
        encoder.precision = torch.bfloat16
        half = encoder(images(4), images(2, 1))
    assert half.dtype == torch.float32
    assert not torch.equal(half, full)
    assert F.cosine_similarity(half, full).min() > 0.99


def test_new_weights_come_from_the_seed_alone():
    state = torch.get_rng_state()
    first = build_encoder(SMALL, 3).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    again, other = build_encoder(SMALL, 3).state_dict(), build_encoder(SMALL, 4).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["trunk.layer1.0.conv1.weight"], other["trunk.layer1.0.conv1.weight"])
    assert not torch.equal(first["visible.conv1.weight"], first["infrared.conv1.weight"])


def test_neck_starts_near_one_with_a_frozen_zero_shift():
    neck = build_encoder(SmallConfig(width=128), 0).neck
    assert neck.weight.mean().item() == pytest.approx(1, abs=0.002)
    assert neck.weight.std().item() == pytest.approx(0.01, abs=0.002)
    assert neck.bias.abs().max() == 0
    assert not neck.bias.requires_grad


def test_torchvision_file_fills_both_stems_and_the_trunk(tmp_path, resnet50):
    path = tmp_path / "resnet50.pth"
    state = torchvision_file(resnet50, path)
    kept = {key: value.clone() for key, value in resnet50.state_dict().items() if "non_local" in key or "neck" in key}
    assert load_weights(resnet50, path) == hashlib.sha256(path.read_bytes()).hexdigest()
    loaded = resnet50.state_dict()
    for key, value in state.items():
        targets = [f"visible.{key}", f"infrared.{key}"] if key.startswith(("conv1", "bn1")) else [f"trunk.{key}"]
        assert key.startswith("fc.") or all(torch.equal(loaded[target], value) for target in targets)
    assert all(torch.equal(loaded[key], value) for key, value in kept.items())


def test_files_without_batch_counters_load(tmp_path):
    """ImageNet files of 2017 predate ``num_batches_tracked``."""
    encoder = build_encoder(SMALL, 0)
    state = torchvision_file(encoder, tmp_path / "new.pth")
    torch.save({k: v for k, v in state.items() if "num_batches" not in k}, tmp_path / "old.pth")
    load_weights(encoder, tmp_path / "old.pth")
    assert torch.equal(encoder.network.infrared.conv1.weight, state["conv1.weight"])


@pytest.mark.parametrize("wrapped", [False, True])
def test_own_weights_round_trip(tmp_path, wrapped):
    source, target = build_encoder(SMALL, 0), build_encoder(SMALL, 1)
    source(images(4), images(4, 1))
    state = source.state_dict()
    torch.save({"encoder": state, "epoch": 3} if wrapped else state, tmp_path / "own.pth")
    load_weights(target, tmp_path / "own.pth")
    assert all(torch.equal(value, state[key]) for key, value in target.state_dict().items())


def spoil(state: dict[str, torch.Tensor], how: str) -> object:
    if how == "missing":
        return {key: value for key, value in state.items() if key != "trunk.layer3.0.conv2.weight"}
    if how == "unexpected":
        return state | {"trunk.layer9.0.conv1.weight": torch.zeros(1)}
    if how == "of another shape":
        return state | {"trunk.layer3.0.conv2.weight": torch.zeros(3)}
    return {"epoch": 3}


@pytest.mark.parametrize("how", ["missing", "unexpected", "of another shape", "holds no weights"])
def test_weights_that_do_not_fit_are_refused_whole(tmp_path, how):
    encoder, path = build_encoder(SMALL, 0), tmp_path / "bad.pth"
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    torch.save(spoil(build_encoder(SMALL, 1).state_dict(), how), path)
    with pytest.raises(UsageError, match=rf"bad\.pth.*{how}"):
        load_weights(encoder, path)
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


@pytest.mark.parametrize("content", [None, b"", b"not weights", b"PK\x03\x04 torn zip"])
def test_unreadable_files_are_named(tmp_path, content):
    path = tmp_path / "torn.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=r"torn\.pth"):
        load_weights(build_encoder(SMALL, 0), path)


def test_bad_configurations_are_refused():
    with pytest.raises(UsageError, match="did you mean resnet50"):
        build_encoder(EncoderConfig("resnet"), 0)
    with pytest.raises(UsageError, match="must be from 1"):
        ResNet50Config(bn_groups=0)
    with pytest.raises(UsageError, match="must be from 8 to 256"):
        SmallConfig(width=4)
    with pytest.raises(ValueError, match="no images"):
        build_encoder(SMALL, 0)(None, None)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("given", [("visible",), ("infrared",), ("visible", "infrared")])
def test_batch_counters_count_the_batches_of_each_layer(given: tuple[str, ...], groups: int) -> None:
    encoder = deepcopy(build_encoder(SmallConfig(width=8, bn_groups=groups, non_local=True), seed=0))
    norms = [layer for layer in encoder.modules() if isinstance(layer, GroupedBatchNorm)]
    passes = dict.fromkeys(norms, 0)
    for norm in norms:
        norm.register_forward_hook(lambda layer, *_: passes.update({layer: passes[layer] + layer.training}))
    images = {name: torch.rand(4, 3, 32, 16) if name in given else None for name in ("visible", "infrared")}
    for training in (True, False, True):
        encoder.train(training)(images["visible"], images["infrared"])
    assert set(passes.values()) == ({2} if len(given) == 2 else {0, 2})
    assert {norm: int(norm.num_batches_tracked) for norm in norms} == passes
