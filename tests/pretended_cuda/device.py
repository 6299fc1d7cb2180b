"""Pretended CUDA device: ``with pretended_cuda() as seen`` lets a block use ``cuda:0`` and counts what a GPU would do.

Tensors of the device lie in host memory and are computed by the CPU's kernels. Not covered: races, the numerics and
memory of a GPU, NCCL, compiled networks.
"""

from __future__ import annotations

import os
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch._dynamo  # it looks up functions by identity, so it is imported before any is replaced
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.pretended_cuda import rules

ROOT = f"{Path.cwd()}{os.sep}"


class RefusedError(RuntimeError):
    """Refused operation: an error that a GPU would raise."""


@dataclass
class Seen:
    """Seen operations, counted by the place that was open at the time.

    Attributes:
        waits: number of waits of the host, by (place, reason and line of the project).
        launches: number of kernels, by (place, operation).
        any_order: operations without a deterministic kernel that ran although deterministic ones were demanded.
    """

    waits: Counter[tuple[str, str]] = field(default_factory=Counter)
    launches: Counter[tuple[str, str]] = field(default_factory=Counter)
    any_order: Counter[str] = field(default_factory=Counter)
    place: str = "outside"
    encoder: list[tuple[int, int]] = field(default_factory=list)
    """Ranges of the sequence numbers of autograd nodes that an encoder's forward pass made."""

    @contextmanager
    def within(self, place: str) -> Iterator[None]:
        """Count the operations of a block under a place."""
        before, self.place = self.place, place
        yield
        self.place = before

    @contextmanager
    def within_encoder(self) -> Iterator[None]:
        """Count the operations of a block, and those of its backward pass, as an encoder's."""
        first = torch.autograd._get_sequence_nr()
        with self.within(self.place.removesuffix(" encoder") + " encoder"):
            yield
        self.encoder.append((first, torch.autograd._get_sequence_nr()))

    def current(self) -> str:
        """Return the place of an operation; in a backward pass, that of the forward operation."""
        node = torch._C._current_autograd_node()
        if node is None:
            return self.place
        number = node._sequence_nr()
        own = node.name().endswith("AccumulateGrad") or any(low <= number < high for low, high in self.encoder[-9:])
        return self.place + " encoder" if own else self.place

    def wait(self, reason: str) -> None:
        """Count a wait."""
        self.waits[self.current(), f"{reason} at {_line()}"] += 1


def _line() -> str:
    """Return the innermost line of the project on the stack."""
    for frame, line in traceback.walk_stack(None):
        file = frame.f_code.co_filename
        name = file.removeprefix(ROOT)
        if name != file and not name.startswith((".venv", "tests/pretended_cuda")):
            return f"{name}:{line} ({frame.f_code.co_name})"
    return "autograd"


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of an operation's arguments, which may be in lists; faster than torch's general trees."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _tensors(part)


class Watch(TorchDispatchMode):
    """Watch over all operations of a block: refuses what a GPU refuses, and counts."""

    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self.seen = seen

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [*_tensors(args), *_tensors([*kwargs.values()])]
        asked = kwargs.get("device")
        if not any(x.is_cuda for x in tensors) and (asked is None or torch.device(asked).type == "cpu"):
            return func(*args, **kwargs)
        if reason := rules.refusal(func, args, tensors):
            raise RefusedError(reason)
        if reason := rules.wait(func, args, kwargs):
            self.seen.wait(reason)
        if rules.launches(func):
            self.seen.launches[self.seen.current(), str(func)] += 1
        if torch.are_deterministic_algorithms_enabled() and rules.adds_in_any_order(func, args):
            self.seen.any_order[f"{func} at {_line()}"] += 1
        return func(*args, **kwargs)


def _content(storage: torch.UntypedStorage) -> Tensor:
    return torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)


@contextmanager
def pretended_cuda() -> Iterator[Seen]:
    """Make torch report one GPU during a block; the guard must be loaded."""
    seen, nothing = Seen(), lambda *_, **__: None
    cuda = {
        **dict.fromkeys(
            ("_lazy_init", "reset_peak_memory_stats", "empty_cache", "set_device", "set_rng_state"), nothing
        ),
        **dict.fromkeys(("manual_seed", "manual_seed_all", "init"), nothing),
        **dict.fromkeys(("is_available", "is_initialized", "is_bf16_supported"), lambda *_, **__: True),
        **dict.fromkeys(("current_device", "max_memory_allocated", "memory_allocated"), lambda *_: 0),
        **dict.fromkeys(("max_memory_reserved", "memory_reserved"), lambda *_: 0),
        "device_count": lambda: 1,
        "synchronize": lambda *_: seen.wait("synchronize"),
        "mem_get_info": lambda *_: (70 << 30, 80 << 30),
        "get_device_name": lambda *_: "pretended GPU",
        "get_device_capability": lambda *_: (9, 0),
        "get_rng_state": lambda *_: torch.zeros(16, dtype=torch.uint8),
        "is_current_stream_capturing": lambda: False,
    }
    storage = {
        "clone": lambda self: _content(self).clone().untyped_storage(),
        "cpu": lambda self: _content(self).cpu().untyped_storage(),
    }
    before = torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(True)  # else ``torch.tensor(..., device="cuda")`` copies out of sight
    try:
        with patch.multiple(torch.cuda, **cuda), patch.multiple(torch.UntypedStorage, **storage), Watch(seen):
            yield seen
    finally:
        torch._C._set_only_lift_cpu_tensors(before)
