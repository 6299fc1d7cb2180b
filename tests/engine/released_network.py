"""Network of ADCA's family in the layout of its released files, written from its description and not from the suite.

Names of tensors and sums are those of yangbincv/ADCA @8d0a8cb and zesenwu23/USL-VI-ReID @ed4a7df. The forward pass is a
function of the released names, so it shares neither modules nor a map of names with the suite.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]
DEPTHS = {1: 3, 2: 4, 3: 6, 4: 3}
AFTER = {"NL_2.0": (2, 2), "NL_2.1": (2, 3), "NL_3.0": (3, 3), "NL_3.1": (3, 4), "NL_3.2": (3, 5)}
"""Stage and zero-based block that each non-local block follows."""


def released_state(seed: int, non_local: bool, second_neck: bool = False) -> State:
    """Draw random weights under the names of a release: 960 tensors, or 1,025 with non-local blocks."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int, scale: float = 1.0) -> Tensor:
        return torch.randn(shape, generator=generator) * scale

    state: State = {}

    def convolution(name: str, outputs: int, inputs: int, size: int) -> None:
        state[f"{name}.weight"] = draw(outputs, inputs, size, size, scale=(2 / (inputs * size * size)) ** 0.5)

    def norm(name: str, width: int, gain: float = 1.0) -> None:
        state[f"{name}.weight"] = gain * (1 + draw(width, scale=0.1))
        state[f"{name}.bias"] = draw(width, scale=0.1)
        state[f"{name}.running_mean"] = draw(width, scale=0.1)
        state[f"{name}.running_var"] = 1 + draw(width, scale=0.1).abs()
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    for whole in ("visible_module.visible", "thermal_module.thermal", "base_resnet.base"):
        convolution(f"{whole}.conv1", 64, 3, 7)
        norm(f"{whole}.bn1", 64)
        inputs = 64
        for stage, depth in DEPTHS.items():
            inner = 32 * 2**stage
            for block in range(depth):
                name = f"{whole}.layer{stage}.{block}"
                for number, shape in enumerate(((inner, inputs, 1), (inner, inner, 3), (4 * inner, inner, 1)), 1):
                    convolution(f"{name}.conv{number}", *shape)
                    norm(f"{name}.bn{number}", shape[0], gain=0.3 if number == 3 else 1.0)
                if block == 0:
                    convolution(f"{name}.downsample.0", 4 * inner, inputs, 1)
                    norm(f"{name}.downsample.1", 4 * inner)
                inputs = 4 * inner
    for name, (stage, _) in AFTER.items() if non_local else ():
        width = 128 * 2**stage
        for part in ("g.0", "theta", "phi"):
            state[f"{name}.{part}.weight"] = draw(1, width, 1, 1, scale=0.3 * width**-0.5)
            state[f"{name}.{part}.bias"] = draw(1, scale=0.1)
        state[f"{name}.W.0.weight"], state[f"{name}.W.0.bias"] = draw(width, 1, 1, 1), draw(width, scale=0.1)
        norm(f"{name}.W.1", width)
    for neck in ("bottleneck", "bottleneck_2") if second_neck else ("bottleneck",):
        norm(neck, 2048)
    state["classifier.weight"] = draw(1000, 2048, scale=0.01)
    return state


def released_file(state: State, **other: object) -> dict[str, object]:
    """Wrap weights as ADCA's family saves them: from ``DataParallel``, with the best mAP as a NumPy number."""
    names = {f"module.{name}": value for name, value in state.items()}
    return {"state_dict": names, "epoch": 49, "best_mAP": np.float64(0.4242), **other}


@torch.no_grad()
def embed(state: State, images: Tensor, modality: str, mirror: bool = True) -> Tensor:
    """Compute unit features ``[B, 2048]`` of normalised images, by the released names."""
    plain = F.normalize(_forward(state, images, modality), dim=1)
    if not mirror:
        return plain
    return F.normalize((plain + F.normalize(_forward(state, images.flip(3), modality), dim=1)) / 2, dim=1)


def _norm(state: State, name: str, x: Tensor) -> Tensor:
    mean, var, weight, bias = (state[f"{name}.{k}"] for k in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, mean, var, weight, bias, training=False)


def _forward(state: State, images: Tensor, modality: str) -> Tensor:
    stem = "visible_module.visible" if modality == "visible" else "thermal_module.thermal"
    x = F.conv2d(images, state[f"{stem}.conv1.weight"], stride=2, padding=3)
    x = F.max_pool2d(F.relu(_norm(state, f"{stem}.bn1", x)), 3, 2, padding=1)
    for stage, depth in DEPTHS.items():
        for block in range(depth):
            x = _bottleneck(
                state, f"base_resnet.base.layer{stage}.{block}", x, 2 if block == 0 and stage in (2, 3) else 1
            )
            for name, place in AFTER.items():
                if place == (stage, block) and f"{name}.theta.weight" in state:
                    x = _non_local(state, name, x)
    pooled = ((x**3).mean((2, 3)) + 1e-12) ** (1 / 3)
    return _norm(state, "bottleneck", pooled)


def _bottleneck(state: State, name: str, x: Tensor, stride: int) -> Tensor:
    y = F.relu(_norm(state, f"{name}.bn1", F.conv2d(x, state[f"{name}.conv1.weight"])))
    y = F.relu(_norm(state, f"{name}.bn2", F.conv2d(y, state[f"{name}.conv2.weight"], stride=stride, padding=1)))
    y = _norm(state, f"{name}.bn3", F.conv2d(y, state[f"{name}.conv3.weight"]))
    if f"{name}.downsample.0.weight" in state:
        x = _norm(state, f"{name}.downsample.1", F.conv2d(x, state[f"{name}.downsample.0.weight"], stride=stride))
    return F.relu(x + y)


def _non_local(state: State, name: str, x: Tensor) -> Tensor:
    """Apply ``x + W(f g)`` with ``f = theta^T phi / N``, with the whole matrix ``f``."""

    def project(part: str) -> Tensor:
        return F.conv2d(x, state[f"{name}.{part}.weight"], state[f"{name}.{part}.bias"]).flatten(2)

    g, theta, phi = (project(part) for part in ("g.0", "theta", "phi"))  # [B, 1, N]
    attention = theta.transpose(1, 2) @ phi / x.shape[2] / x.shape[3]  # [B, N, N]
    y = (attention @ g.transpose(1, 2)).transpose(1, 2).reshape(len(x), 1, *x.shape[2:])
    y = F.conv2d(y, state[f"{name}.W.0.weight"], state[f"{name}.W.0.bias"])
    return x + _norm(state, f"{name}.W.1", y)
