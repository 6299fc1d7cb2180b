"""Check of the stages and networks of a method, before it is trained, and of its figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.core.bounds import EPOCHS
from usvi_bench.core.errors import UsageError, did_you_mean
from usvi_bench.core.registry import METHODS
from usvi_bench.methods.base import Method, MethodConfig, Stage

Shapes = Mapping[str, torch.Size]
"""Shapes of the weights of a network, by name."""


def shapes_of(encoder: TwoStreamEncoder) -> Shapes:
    """Return the shapes of the weights of an encoder."""
    return {name: weights.shape for name, weights in encoder.state_dict().items()}


def stages_of(name: str, config: MethodConfig) -> tuple[Stage, ...]:
    """Return the stages of a method, checked.

    Args:
        name: registered name of the method.
        config: its hyper-parameters.

    Raises:
        UsageError: the stages are not a tuple of stages of registered methods with their own hyper-parameters, a stage
            has no epochs, or the last stage trains another method.
    """
    stages: Any = METHODS.get(name).stages(config)
    if not isinstance(stages, tuple) or not all(isinstance(stage, Stage) for stage in stages):
        raise UsageError(f"stages() of '{name}' returned {stages!r:.60}; return a tuple of Stage")
    for stage in stages:
        if not isinstance(stage.config, kind := METHODS.get(stage.method).Config):
            given = type(stage.config).__name__
            raise UsageError(
                f"stages() of '{name}': '{stage.method}' has a {given} as its config; give {kind.__name__}"
            )
        epochs = stage.epochs
        if epochs is not None and (type(epochs) is not int or not 1 <= epochs <= EPOCHS):
            raise UsageError(
                f"stage '{stage.method}' has {epochs!r:.20} epochs; every stage needs at least 1, a whole number up to "
                f"{EPOCHS:,}"
            )
    if stages and stages[-1].method != name:
        raise UsageError(
            f"stages() of '{name}': the last stage trains '{stages[-1].method}'; it must train the method itself"
        )
    return stages


def check_models(method: Method, name: str, shapes: Shapes, needed: str) -> None:
    """Check the networks that a method saves and embeds with.

    Args:
        method: method that was built.
        name: its registered name.
        shapes: shapes of the weights of the encoder that it received.
        needed: network that is scored, or that the next stage starts from.

    Raises:
        UsageError: a network is missing or of another kind; the message names the method and what is expected.
    """
    models: Any = method.models()
    if not isinstance(models, Mapping) or not models or not all(isinstance(key, str) for key in models):
        raise UsageError(f"models() of '{name}' returned {models!r:.60}; return networks by name, one at least")
    for key, model in models.items():
        if not isinstance(model, TwoStreamEncoder):
            raise UsageError(f"models()['{key}'] of '{name}' is {type(model).__name__}; return TwoStreamEncoder")
        own = shapes_of(model)
        if changed := sorted(key for key in {**own, **shapes} if own.get(key) != shapes.get(key)):
            raise UsageError(
                f"models()['{key}'] of '{name}' has other weights than the encoder ({changed[0]:.60}); "
                "return copies of the encoder"
            )
    for key in (needed, *method.embeds):
        if key not in models:
            raise UsageError(
                f"models() of '{name}' has no network '{key}', which is needed: {did_you_mean(key, models)}"
            )


def check_diagnostics(figures: Any, name: str) -> None:
    """Check that the diagnostics of a method are finite numbers by name.

    Raises:
        UsageError: a figure is no finite number; the message names the method and the figure.
    """
    if not isinstance(figures, Mapping):
        raise UsageError(f"diagnostics() of '{name}' returned {type(figures).__name__}; return numbers by name")
    for key, value in figures.items():
        number = isinstance(value, (int, float)) or (isinstance(value, Tensor) and value.numel() == 1)
        if not isinstance(key, str) or not number or not math.isfinite(float(value)):
            raise UsageError(f"diagnostics()[{key!r:.40}] of '{name}' is {value!r:.40}; return finite numbers by name")
