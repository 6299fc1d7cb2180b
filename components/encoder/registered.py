"""Look-up of networks by their registered names, with checks of the registered classes."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn

from usvi_bench.components.encoder.network import EmbeddingNetwork, EncoderConfig
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import ENCODERS


def network_class(name: str) -> type[EmbeddingNetwork]:
    """Return the network registered under a name.

    Raises:
        UsageError: the name is unknown, or the class lacks a required part.
    """
    found = ENCODERS.get(name)
    where = _where(name, found)
    if not (isinstance(found, type) and issubclass(found, EmbeddingNetwork)):
        raise UsageError(f"{where} is not an EmbeddingNetwork; derive it from usvi_bench.EmbeddingNetwork")
    if found.__abstractmethods__:
        raise UsageError(f"{where} has no {', '.join(sorted(found.__abstractmethods__))}(); define it")
    config: Any = getattr(found, "Config", None)
    if not (isinstance(config, type) and issubclass(config, EncoderConfig) and "__dataclass_fields__" in vars(config)):
        raise UsageError(f"{where} has no Config; set it to EncoderConfig or to a frozen dataclass derived from it")
    try:
        inspect.signature(config).bind(name)
    except TypeError as error:
        raise UsageError(f"{where}: each field of {config.__name__} but 'name' needs a default ({error})") from error
    return found


def encoder_config(name: str, **settings: Any) -> EncoderConfig:
    """Build the settings of an encoder from its registered name; other settings keep their defaults.

    >>> encoder_config("small", width=8)
    SmallConfig(name='small', bn_groups=1, width=8, non_local=False)
    """
    return network_class(name).Config(name, **settings)


def new_network(config: EncoderConfig, height: int, width: int) -> EmbeddingNetwork:
    """Build the network that a config names, with weights drawn from torch's global generator.

    Raises:
        UsageError: the name is unknown, a part is missing, or the network does not fit the image size.
    """
    cls = network_class(config.name)
    where = _where(config.name, cls)
    try:
        inspect.signature(cls).bind(config, height, width)
    except TypeError as error:
        raise UsageError(f"{where}: __init__ must take (config, height, width) ({error})") from error
    network = cls(config, height, width)
    for part in ("visible", "infrared", "feature_dim"):
        if not hasattr(network, part):
            raise UsageError(f"{where} has no {part}; set self.{part} in __init__")
    if type(network.feature_dim) is not int or network.feature_dim < 1:
        raise UsageError(f"{where}: feature_dim={network.feature_dim!r:.40}; set it to a whole number of at least 1")
    for part in ("visible", "infrared"):
        if not isinstance(getattr(network, part), nn.Module):
            raise UsageError(f"{where}: {part} is {type(getattr(network, part)).__name__}; set it to a torch module")
    if "neck" in dict(network.named_children()):
        raise UsageError(f"{where} has a part 'neck', the name of the encoder's batch norm; choose another name")
    if not isinstance(network.memory_format, torch.memory_format):
        raise UsageError(f"{where}: memory_format={network.memory_format!r:.40}; set it to a torch.memory_format")
    return network


def check_network(config: EncoderConfig, height: int, width: int) -> None:
    """Embed an image of each modality with a new network, so that a faulty network stops a run before any work.

    Raises:
        UsageError: see :func:`new_network`; also if features have another shape than ``[B, feature_dim]``.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        network = new_network(config, height, width).eval()
        image = torch.zeros(1, 3, height, width)
        maps = [network.visible(image), network.infrared(image)]
        where = _where(config.name, type(network))
        for part, each in zip(("visible", "infrared"), maps, strict=True):
            if not isinstance(each, torch.Tensor):
                raise UsageError(f"{where}: its {part} part returned {type(each).__name__}; return a tensor")
        if maps[0].shape != maps[1].shape:
            shapes = " and ".join(str(list(each.shape)) for each in maps)
            raise UsageError(f"{where}: its visible and infrared parts give {shapes}; make the shapes equal")
        features: Any = network.pool(torch.cat(maps))
    if not isinstance(features, torch.Tensor) or not features.is_floating_point() or not features.isfinite().all():
        found = features.dtype if isinstance(features, torch.Tensor) else type(features).__name__
        raise UsageError(f"{where}: pool() returned {found}; return a tensor of finite floating-point numbers")
    shape = list(features.shape)
    if shape != [2, network.feature_dim]:
        raise UsageError(
            f"{where}: pool() gives {shape} for 2 images; "
            f"return one feature of length feature_dim={network.feature_dim} per image, [2, {network.feature_dim}]"
        )


def _where(name: str, found: Any) -> str:
    return f"encoder '{name}' ({getattr(found, '__module__', '')}.{getattr(found, '__qualname__', found)})"
