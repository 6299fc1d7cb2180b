"""What a registered encoder needs, one clear line for whatever it lacks, and the names of saved weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from usvi_bench.components.encoder.network import EmbeddingNetwork, EncoderConfig
from usvi_bench.components.encoder.registered import check_network, encoder_config, network_class
from usvi_bench.components.encoder.resnet_networks import ResNet50Config, SmallConfig
from usvi_bench.components.encoder.two_stream import build_encoder
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import ENCODERS

Register = Callable[[Any], None]


@dataclass(frozen=True)
class MineConfig(EncoderConfig):
    depth: int = 1


class Mine(EmbeddingNetwork):
    Config = MineConfig

    def __init__(self, config: MineConfig, height: int, width: int) -> None:
        super().__init__(config, height, width)
        self.visible, self.infrared = nn.Conv2d(3, 8, 8, 8), nn.Conv2d(3, 8, 8, 8)
        self.offset = nn.Parameter(torch.zeros(8))
        self.layers = nn.Sequential(*(nn.Linear(8, 8) for _ in range(config.depth)))
        self.feature_dim = 8

    def pool(self, maps: Tensor) -> Tensor:
        return self.layers(maps.mean((2, 3)) + self.offset)  # type: ignore[no-any-return]


@pytest.fixture
def register() -> Iterator[Register]:
    def add(entry: Any) -> None:
        ENCODERS.register("mine")(entry)

    yield add
    ENCODERS.forget("mine")


def test_an_encoder_of_one_s_own_embeds(register: Register) -> None:
    register(Mine)
    config = encoder_config("mine", depth=2)
    assert config == MineConfig("mine", depth=2)
    check_network(config, 32, 16)
    model = build_encoder(config, 0, 32, 16).eval()
    features = model(torch.zeros(2, 3, 32, 16), torch.zeros(3, 3, 32, 16))
    assert features.shape == (5, 8)
    assert len(model.network.layers) == 2


def test_saved_weights_name_the_network_s_parameters_as_it_does(register: Register) -> None:
    register(Mine)
    model = build_encoder(encoder_config("mine"), 0, 32, 16)
    own = list(model.network.state_dict())
    assert own[0] == "offset"
    neck = [f"neck.{name}" for name in model.neck.state_dict()]
    assert list(model.state_dict()) == own + neck
    outer = nn.ModuleDict({"student": model, "teacher": deepcopy(model)})
    names = [f"{part}.{name}" for part in ("student", "teacher") for name in own + neck]
    assert list(outer.state_dict()) == names
    state = {name: torch.full_like(value, 2) for name, value in outer.state_dict().items()}
    outer.load_state_dict(state)
    assert all(bool((parameter == 2).all()) for parameter in outer.parameters())
    with pytest.raises(RuntimeError, match=r"Missing.*offset"):
        model.load_state_dict({name: value for name, value in model.state_dict().items() if name != "offset"})


def variant(**members: Any) -> type[Any]:
    return type("Mine", (Mine,), members)


def built_with(change: Callable[[Any], None]) -> type[Any]:
    def build(self: Any, config: MineConfig, height: int, width: int) -> None:
        Mine.__init__(self, config, height, width)
        change(self)

    return variant(__init__=build)


@dataclass(frozen=True)
class NoDefault(EncoderConfig):
    depth: int = field(kw_only=True)


class Undecorated(EncoderConfig):
    depth: int = 3


class WithoutConfig(EmbeddingNetwork):
    def pool(self, maps: Tensor) -> Tensor:
        return maps


class WithoutPool(EmbeddingNetwork):
    Config = EncoderConfig


class Pair(nn.Module):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images, images


@dataclass(frozen=True)
class Unrelated:
    name: str


def one_argument(self: Any, config: MineConfig) -> None:
    """A constructor that takes no size."""


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (nn.Linear, r"encoder 'mine' \(torch.*Linear\) is not an EmbeddingNetwork; derive it"),
        (lambda config: None, "is not an EmbeddingNetwork; derive it"),
        (WithoutConfig, r"encoder 'mine' \(.*WithoutConfig\) has no Config; set it to EncoderConfig or"),
        (variant(Config=Unrelated), "has no Config; set it to EncoderConfig or"),
        (variant(Config=MineConfig("mine")), "has no Config; set it to EncoderConfig or"),
        (variant(Config=Undecorated), "has no Config; set it to EncoderConfig or"),
        (variant(Config=NoDefault), r"each field of NoDefault but 'name' needs a default.*depth"),
        (WithoutPool, r"has no pool\(\); define it"),
        (variant(__init__=one_argument), r"__init__ must take \(config, height, width\)"),
        (built_with(lambda network: delattr(network, "feature_dim")), r"has no feature_dim; set self\.feature_dim"),
        (built_with(lambda network: delattr(network, "infrared")), r"has no infrared; set self\.infrared"),
        (
            built_with(lambda network: setattr(network, "feature_dim", 9)),
            r"pool\(\) gives \[2, 8\] for 2 images; return one feature of length feature_dim=9 per image, \[2, 9\]",
        ),
        (built_with(lambda network: setattr(network, "feature_dim", "8")), "feature_dim='8'; set it to a whole number"),
        (built_with(lambda network: setattr(network, "feature_dim", 0)), "feature_dim=0; set it to a whole number"),
        (built_with(lambda network: setattr(network, "neck", nn.Linear(8, 8))), "has a part 'neck', the name of"),
        (built_with(lambda network: setattr(network, "visible", Pair())), "its visible part returned tuple; return a"),
        (variant(memory_format="channels_last"), "memory_format='channels_last'; set it to a torch.memory_format"),
        (variant(pool=lambda self, maps: None), r"pool\(\) returned NoneType; return a tensor of finite"),
        (variant(pool=lambda self, maps: maps.mean((2, 3)).long()), r"pool\(\) returned torch.int64; return a tensor"),
        (variant(pool=lambda self, maps: maps.mean((2, 3)) * torch.nan), r"pool\(\) returned torch.float32; return"),
        (variant(pool=lambda self, maps: maps), r"pool\(\) gives \[2, 8, 4, 2\] for 2 images; return"),
        (
            built_with(lambda network: setattr(network, "infrared", nn.Conv2d(3, 8, 4, 4))),
            r"its visible and infrared parts give \[1, 8, 4, 2\] and \[1, 8, 8, 4\]; make the shapes equal",
        ),
    ],
)
def test_what_an_encoder_lacks_is_named_in_one_line(register: Register, entry: Any, message: str) -> None:
    register(entry)
    with pytest.raises(UsageError, match=message) as caught:
        check_network(network_class("mine").Config("mine"), 32, 16)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["resnet50", "small", "vit_s16", "vit_b16"])
def test_encoders_of_the_suite_have_a_summary_and_pass_their_own_check(name: str) -> None:
    assert network_class(name).summary
    check_network(encoder_config(name), 64, 32)


def test_the_check_leaves_the_global_random_state() -> None:
    before = torch.get_rng_state()
    check_network(SmallConfig(), 64, 32)
    assert torch.equal(torch.get_rng_state(), before)


def test_each_encoder_has_its_own_settings() -> None:
    assert encoder_config("small") == SmallConfig() == SmallConfig("small", 1, 16, False)
    assert encoder_config("resnet50", non_local=True) == ResNet50Config(non_local=True)
    with pytest.raises(TypeError, match="width"):
        encoder_config("resnet50", width=16)
    with pytest.raises(UsageError, match="did you mean vit_s16"):
        encoder_config("vit_s")
