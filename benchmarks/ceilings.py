"""Upper bounds of a device's speed: large matrix products, and the encoder alone."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from usvi_bench.components.encoder.network import EncoderConfig
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder, build_encoder
from usvi_bench.core.precision import AUTOCAST, Precision, allow_tf32
from usvi_bench.engine.device import synchronized_time


def matmul_tflops(device: torch.device, precision: Precision) -> float:
    """Measure the best rate of square matrix products in TFLOP/s.

    Args:
        device: device to measure.
        precision: precision of the products.
    """
    size = 8192 if device.type == "cuda" else 1024
    left = torch.randn(size, size, device=device, dtype=AUTOCAST[precision] or torch.float32)
    with allow_tf32(precision == "tf32"):
        return 2 * size**3 / min(_seconds(lambda: left @ left, device, 10)) / 1e12


def pass_flops(config: EncoderConfig, height: int, width: int) -> tuple[float, float]:
    """Count the floating-point operations per image of a forward pass, and of a forward and backward pass."""
    encoder = build_encoder(replace(config, bn_groups=1), 0, height, width)
    images = torch.zeros(2, 3, height, width)
    with FlopCounterMode(display=False) as counted:
        features = encoder(images, None)
    forward = counted.get_total_flops() / len(images)
    with counted:
        features.sum().backward()
    return forward, forward + counted.get_total_flops() / len(images)


def encoder_seconds(
    config: EncoderConfig,
    height: int,
    width: int,
    batch: tuple[int, int],
    precision: Precision,
    device: torch.device,
    repeats: int = 5,
) -> float:
    """Measure the median seconds of the encoder in one step, forward and backward, without data, loss and optimiser.

    Args:
        config: encoder.
        height: height of the images in pixels.
        width: width of the images in pixels.
        batch: number of visible and infrared images.
        precision: precision of the encoder.
        device: device to measure.
        repeats: number of measured steps.
    """
    encoder: TwoStreamEncoder = build_encoder(config, 0, height, width).to(device).train()
    encoder.precision = precision
    visible, infrared = (torch.randn(count, 3, height, width, device=device) for count in batch)
    direction = torch.randn(sum(batch), encoder.feature_dim, device=device)

    def call() -> None:
        encoder.zero_grad(set_to_none=True)
        encoder(visible, infrared).backward(direction)

    with allow_tf32(precision == "tf32"):
        return statistics.median(_seconds(call, device, repeats))


def _seconds(call: Callable[[], object], device: torch.device, repeats: int) -> list[float]:
    """Measure the seconds of each repeat, after two warm-up calls in which kernels are selected."""
    taken = []
    for _ in range(repeats + 2):
        started = synchronized_time(device)
        call()
        taken.append(synchronized_time(device) - started)
    return taken[2:]
