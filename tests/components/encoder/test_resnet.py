import pytest
import torch
import torch.nn.functional as F
from torch import nn

from usvi_bench.components.encoder.batch_norm import GroupedBatchNorm, count_batch
from usvi_bench.components.encoder.resnet import BasicBlock, Bottleneck, NonLocal, Stem, Trunk


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shake(module: nn.Module) -> None:
    """Set every parameter and statistic to a random value, so that no zero or one hides a term."""
    draw = generator()
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(0.2 + 0.5 * torch.rand(tensor.shape, generator=draw))


@pytest.mark.parametrize("shape", [(12, 5), (12, 5, 4, 3)])
def test_grouped_norm_is_one_replica_a_part(shape):
    x = torch.randn(shape, generator=generator())
    grouped = GroupedBatchNorm(5, groups=3)
    shake(grouped)
    replicas = []
    for part in range(3):
        plain = nn.BatchNorm1d(5) if len(shape) == 2 else nn.BatchNorm2d(5)
        plain.load_state_dict(grouped.state_dict())
        replicas.append((plain, plain(x[4 * part : 4 * part + 4])))
    assert torch.allclose(grouped(x), torch.cat([out for _, out in replicas]), atol=1e-6)
    count_batch([grouped])
    for name, buffer in replicas[0][0].named_buffers():
        assert torch.allclose(dict(grouped.named_buffers())[name], buffer), "statistics follow the first part"
    plain = replicas[0][0].eval()
    assert torch.allclose(grouped.eval()(x), plain(x), atol=1e-6)


def test_non_local_is_the_identity_when_new_and_its_formula_later():
    x = torch.randn(2, 6, 4, 3, generator=generator())
    block = NonLocal(6).eval()
    assert torch.equal(block(x), x)
    assert torch.equal(block.train()(x), x)
    shake(block)
    block.eval()
    g, theta, phi = (conv(x).flatten(1) for conv in (block.g, block.theta, block.phi))
    attended = torch.zeros(2, 1, 12)
    for b in range(2):
        for i in range(12):
            for j in range(12):
                attended[b, 0, i] += theta[b, i] * phi[b, j] / 12 * g[b, j]
    expected = x + block.bn(block.out(attended.view(2, 1, 4, 3)))
    assert torch.allclose(block(x), expected, atol=1e-5)


def test_non_local_has_one_inner_channel():
    assert sum(parameter.numel() for parameter in NonLocal(512).parameters()) == 7 * 512 + 3


def plain_norm(norm: GroupedBatchNorm, x: torch.Tensor) -> torch.Tensor:
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return (x - norm.running_mean.view(-1, 1, 1)) * scale.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)


@pytest.mark.parametrize(("inputs", "stride"), [(8, 1), (6, 1), (8, 2)])
@pytest.mark.parametrize("kind", [BasicBlock, Bottleneck])
def test_blocks_are_their_formula(kind, inputs, stride):
    width = 8 // kind.expansion
    block = kind(inputs, width, stride, groups=1).eval()
    shake(block)
    x = torch.randn(2, inputs, 6, 4, generator=generator())
    if kind is BasicBlock:
        inner = F.relu(plain_norm(block.bn1, F.conv2d(x, block.conv1.weight, stride=stride, padding=1)))
        out = plain_norm(block.bn2, F.conv2d(inner, block.conv2.weight, padding=1))
    else:
        inner = F.relu(plain_norm(block.bn1, F.conv2d(x, block.conv1.weight)))
        inner = F.relu(plain_norm(block.bn2, F.conv2d(inner, block.conv2.weight, stride=stride, padding=1)))
        out = plain_norm(block.bn3, F.conv2d(inner, block.conv3.weight))
    shortcut = x
    if inputs != 8 or stride != 1:
        shortcut = plain_norm(block.downsample[1], F.conv2d(x, block.downsample[0].weight, stride=stride))
    assert torch.allclose(block(x), F.relu(out + shortcut), rtol=1e-4, atol=1e-4)


def test_maps_of_resnet50_have_the_published_sizes():
    """288 x 144 images: 72 x 36 twice, 36 x 18, then 18 x 9 twice because the last stage keeps its stride at 1."""
    with torch.device("meta"):
        stem, trunk = Stem(64), Trunk(Bottleneck, (3, 4, 6, 3), 64)
        maps = [stem(torch.empty(2, 3, 288, 144))]
        for stage in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4):
            x = maps[-1]
            for block in stage:
                x = block(x)
            maps.append(x)
    shapes = [tuple(x.shape[1:]) for x in maps]
    assert shapes == [(64, 72, 36), (256, 72, 36), (512, 36, 18), (1024, 18, 9), (2048, 18, 9)]
    assert trunk.channels == 2048


def test_attention_follows_the_chosen_blocks():
    trunk = Trunk(BasicBlock, (1, 2, 2, 1), 4, non_local={2: (1,), 3: (0, 1)})
    assert sorted(trunk.non_local) == ["layer2_1", "layer3_0", "layer3_1"]
    called = []
    for name, module in trunk.named_modules():
        if isinstance(module, BasicBlock | NonLocal):
            module.register_forward_hook(lambda *_, name=name: called.append(name))
    trunk(torch.randn(2, 4, 8, 8, generator=generator()))
    assert called == [
        *("layer1.0", "layer2.0", "layer2.1", "non_local.layer2_1"),
        *("layer3.0", "non_local.layer3_0", "layer3.1", "non_local.layer3_1", "layer4.0"),
    ]
