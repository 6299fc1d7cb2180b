"""What a device can do at best: large matrix products, and the encoder with nothing around it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from usvi_bench.components.encoder.network import EncoderConfig
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder, build_encoder
from usvi_bench.engine.device import synchronized_time

PRECISION = {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def matmul_tflops(device: torch.device, precision: torch.dtype | None) -> float:
    """Best rate of square products in the precision of training, under torch's present settings."""
    size = 8192 if device.type == "cuda" else 1024
    left = torch.randn(size, size, device=device, dtype=precision or torch.float32)
    return 2 * size**3 / min(_seconds(lambda: left @ left, device, 10)) / 1e12


def pass_flops(config: EncoderConfig, height: int, width: int) -> tuple[float, float]:
    """Floating-point operations for one image of a pass forward alone, and of one forward and backward."""
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
    amp: str,
    device: torch.device,
    repeats: int = 5,
) -> float:
    """Median seconds of one step's convolutions and batch norms, forward and backward: no data, loss, optimiser."""
    encoder: TwoStreamEncoder = build_encoder(config, 0, height, width).to(device).train()
    encoder.precision = PRECISION[amp]
    visible, infrared = (torch.randn(count, 3, height, width, device=device) for count in batch)
    direction = torch.randn(sum(batch), encoder.feature_dim, device=device)

    def call() -> None:
        encoder.zero_grad(set_to_none=True)
        encoder(visible, infrared).backward(direction)

    return statistics.median(_seconds(call, device, repeats))


def _seconds(call: Callable[[], object], device: torch.device, repeats: int) -> list[float]:
    """Seconds of each repeat, the first two left out: kernels are chosen then."""
    taken = []
    for _ in range(repeats + 2):
        started = synchronized_time(device)
        call()
        taken.append(synchronized_time(device) - started)
    return taken[2:]
