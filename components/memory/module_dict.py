"""Memories by name, held by the method that uses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar, cast

from torch import nn

Name = TypeVar("Name", bound=str)
Memory = TypeVar("Memory", bound=nn.Module)


def module_dict(memories: Mapping[Name, Memory]) -> dict[Name, Memory]:
    """Hold memories by name, so that their rows are buffers of the method that keeps the result.

    A step that fp16 skips restores the buffers of a method. The result is a :class:`torch.nn.ModuleDict`, typed as a
    dictionary of its values.
    """
    return cast("dict[Name, Memory]", nn.ModuleDict({str(name): memory for name, memory in memories.items()}))
