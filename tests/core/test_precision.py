"""TF32 is allowed only where a precision asks for it, and torch's settings are restored."""

from __future__ import annotations

import pytest
import torch

from usvi_bench.components.encoder.resnet_networks import SmallConfig
from usvi_bench.components.encoder.two_stream import build_encoder
from usvi_bench.core.precision import AUTOCAST, Precision, allow_tf32, compute_in, tf32_allowed
from usvi_bench.engine.config import TrainConfig
from usvi_bench.engine.optimiser import Optimiser
from usvi_bench.methods.base import Method, MethodConfig


def flags() -> tuple[bool, bool]:
    return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


def test_torch_s_settings_are_restored_also_after_an_error() -> None:
    before = flags()
    with allow_tf32(False):
        assert flags() == (False, False)
        with pytest.raises(RuntimeError), allow_tf32(True):
            raise RuntimeError(str(flags()))
        assert flags() == (False, False)
    assert flags() == before


@pytest.mark.parametrize("precision", list(AUTOCAST))
def test_a_precision_selects_tf32_or_a_type(precision: Precision) -> None:
    with compute_in(precision, "cpu"):
        assert flags() == (precision == "tf32",) * 2
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (AUTOCAST[precision] or torch.float32)


@pytest.mark.parametrize("precision", ["fp32", "tf32"])
def test_only_the_passes_of_the_encoder_may_use_tf32(precision: Precision) -> None:
    method = Method(MethodConfig(), build_encoder(SmallConfig(width=8), seed=0))
    method.encoder.precision = precision
    optimiser = Optimiser(method, TrainConfig(precision=precision), 1, torch.device("cpu"))
    seen: dict[str, bool] = {}
    network = method.encoder.network
    network.visible.register_forward_hook(lambda *_: seen.update(forward=tf32_allowed()))
    with allow_tf32(False):
        features = method.encoder(torch.randn(4, 3, 32, 16), None)
        seen["loss"] = tf32_allowed()
        features.register_hook(lambda _: seen.update(backward=tf32_allowed()))
        optimiser({"own": features.square().mean()})
        seen["after"] = tf32_allowed()
    wanted = precision == "tf32"
    assert seen == {"forward": wanted, "loss": False, "backward": wanted, "after": False}
