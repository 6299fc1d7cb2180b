"""Networks and figures of a method are checked before they are used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from usvi_bench.components.encoder.resnet_networks import SmallConfig
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder, build_encoder
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import METHODS
from usvi_bench.engine.check_method import check_diagnostics, check_models, shapes_of, stages_of
from usvi_bench.methods.base import Method, MethodConfig, Stage
from usvi_bench.methods.cluster_contrast import ClusterContrast, ClusterContrastConfig


class Odd(Method):
    """Method whose networks are given."""

    def __init__(self, encoder: TwoStreamEncoder, models: Any, **attributes: Any) -> None:
        super().__init__(MethodConfig(), encoder)
        self.given = [models]
        for name, value in attributes.items():
            setattr(self, name, value)

    def models(self) -> Mapping[str, TwoStreamEncoder]:
        return self.given[0]  # type: ignore[no-any-return]


def encoder(width: int = 8) -> TwoStreamEncoder:
    return build_encoder(SmallConfig(width=width), 0)


@pytest.mark.parametrize(
    ("models", "attributes", "message"),
    [
        ({}, {}, r"models\(\) of 'odd' returned \{\}; return networks by name"),
        ([encoder()], {}, "return networks by name"),
        ({1: encoder()}, {}, "return networks by name"),
        ({"student": torch.nn.Linear(2, 2)}, {}, "is Linear; return TwoStreamEncoder"),
        ({"student": encoder(16)}, {}, r"models\(\)\['student'\] of 'odd' has other weights .*; return copies"),
        ({"net": encoder()}, {}, r"models\(\) of 'odd' has no network 'student'"),
        ({"student": encoder()}, {"embeds": ("techer",)}, r"models\(\) of 'odd' has no network 'techer'"),
    ],
)
def test_odd_networks_are_refused(models: Any, attributes: dict[str, Any], message: str) -> None:
    method = Odd(encoder(), models, **attributes)
    with pytest.raises(UsageError, match=message):
        check_models(method, "odd", shapes_of(encoder()), "student")


def test_an_encoder_with_further_weights_is_refused() -> None:
    changed = encoder()
    shapes = shapes_of(changed)
    check_models(Odd(changed, {"student": changed}), "odd", shapes, "student")
    changed.head = torch.nn.Linear(2, 2)
    with pytest.raises(UsageError, match=r"other weights than the encoder \(head\.bias\)"):
        check_models(Odd(changed, {"student": changed}), "odd", shapes, "student")


def test_diagnostics_are_finite_numbers() -> None:
    check_diagnostics({"a": 1, "b": 0.5, "c": torch.tensor(2.0)}, "odd")
    for figures in (None, {"a": None}, {"a": "1"}, {"a": float("nan")}, {"a": torch.ones(2)}, {1: 1.0}):
        with pytest.raises(UsageError, match=r"diagnostics\(\)"):
            check_diagnostics(figures, "odd")


CONFIG = ClusterContrastConfig()


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (None, r"stages\(\) of 'staged' returned None; return a tuple of Stage"),
        ([Stage("staged", CONFIG)], "return a tuple of Stage"),
        ((3,), "return a tuple of Stage"),
        ((Stage("staged", CONFIG, 0),), "stage 'staged' has 0 epochs"),
        ((Stage("staged", CONFIG, 1.5),), "stage 'staged' has 1.5 epochs"),  # type: ignore[arg-type]
        ((Stage("staged", CONFIG, "3"),), "stage 'staged' has '3' epochs"),  # type: ignore[arg-type]
        ((Stage("pgm", CONFIG), Stage("staged", CONFIG)), "'pgm' has a ClusterContrastConfig as its config; give PGM"),
        ((Stage("stagd", CONFIG),), "did you mean staged"),
        ((Stage("staged", CONFIG), Stage("cluster_contrast", CONFIG)), "the last stage trains 'cluster_contrast'"),
    ],
)
def test_odd_stages_are_refused(stages: Any, message: str) -> None:
    class Staged(ClusterContrast):
        @classmethod
        def stages(cls, config: Any) -> Any:
            return stages

    METHODS.register("staged")(Staged)
    try:
        with pytest.raises(UsageError, match=message):
            stages_of("staged", CONFIG)
    finally:
        METHODS.forget("staged")
