"""Estimate of the memory that a training step needs, from the numbers of parameters and of saved activations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from usvi_bench.core.registry import METHODS
from usvi_bench.engine.config import RunConfig

FLOAT = 4
"""Bytes of a float32."""
_PROBE = 2
"""Images of the probe that counts saved activations."""


@dataclass(frozen=True)
class StepMemory:
    """Step memory: bytes of a training step of the encoder on one device.

    Attributes:
        images: images that pass the encoder in a step, all views and modalities together.
        parameters: bytes of weights, gradients and both averages of Adam, and of the weights of teachers.
        activations: bytes that the forward pass saves for the backward pass.
        gradients: bytes of the two largest gradients of activations, which the backward pass holds at a time.
    """

    images: int
    parameters: int
    activations: int
    gradients: int

    @property
    def total(self) -> int:
        """Sum of all parts."""
        return self.parameters + self.activations + self.gradients


def step_memory(config: RunConfig, processes: int = 1) -> StepMemory:
    """Estimate the memory of a step.

    With P parameters, T teachers, B images, and S bytes of saved activations for an image in float32, of which the
    largest tensor has L bytes, a step needs ``4 P (4 + T) + b B S / 4 + 2 b B L / 4`` bytes, where b is 2 in 16-bit
    precision and 4 otherwise. The probe that counts S and L runs without memory, on torch's ``meta`` device.

    Memories, decoded images, kernels' workspaces and the allocator's overhead are not included. Images are kept on the
    device only if they take less than a quarter of its free memory.

    Args:
        config: settings of the run.
        processes: number of processes that share a batch.
    """
    method = METHODS.get(config.method).in_form(config.method_config)
    train = config.train
    clusters = train.visible_clusters * len(method.visible_views) + train.infrared_clusters * len(method.infrared_views)
    images = -(-clusters * train.instances // processes)
    with torch.device("meta"):
        encoder = config.new_encoder(0).train()
        teachers = len(method(config.method_config, encoder).models()) - 1
    network = encoder.network
    parameters = sum(parameter.numel() for parameter in network.parameters())
    saved: dict[int, Tensor] = {}
    own = {parameter.untyped_storage()._cdata for parameter in network.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        if (storage := tensor.untyped_storage()._cdata) not in own:
            saved[storage] = tensor  # kept, so that no other storage gets its address
        return tensor

    images_of_one = torch.empty(_PROBE // 2, 3, config.data.height, config.data.width, device="meta")
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network.pool(torch.cat([network.visible(images_of_one), network.infrared(images_of_one.clone())]))
    sizes = [tensor.untyped_storage().nbytes() for tensor in saved.values()]
    share = images / _PROBE / (2 if train.precision in ("bf16", "fp16") else 1)
    return StepMemory(
        images=images,
        parameters=FLOAT * parameters * (4 + teachers),
        activations=round(share * sum(sizes)),
        gradients=round(2 * share * max(sizes)),
    )
