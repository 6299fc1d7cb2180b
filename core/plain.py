"""Plain values of Python for JSON, from those of NumPy and torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch


def plain_value(value: Any) -> Any:
    """Convert sequences to lists, paths to text, and numbers of NumPy or torch to Python's.

    >>> plain_value((np.int64(1), Path("a")))
    [1, 'a']
    """
    if isinstance(value, (list, tuple)):
        return [plain_value(item) for item in value]
    if isinstance(value, (np.generic, np.ndarray, torch.Tensor)):
        return value.tolist()
    return str(value) if isinstance(value, Path) else value


def plain_settings(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Convert the values of settings, and their names to text; None is an empty mapping."""
    return {str(name): plain_value(value) for name, value in (settings or {}).items()}
