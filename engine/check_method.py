"""Check of the networks of a method, before it is trained, and of its figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.core.errors import UsageError, did_you_mean
from usvi_bench.methods.base import Method


def check_models(method: Method, name: str, keys: set[str], needed: str) -> None:
    """Check the networks that a method saves and embeds with.

    Args:
        method: method that was built.
        name: its registered name.
        keys: names of the weights of the encoder that it received.
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
        if changed := sorted(keys ^ set(model.state_dict())):
            raise UsageError(f"models()['{key}'] of '{name}' has other weights than the encoder ({changed[0]:.60})")
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
