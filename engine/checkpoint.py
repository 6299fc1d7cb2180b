"""Checkpoints of a stage: written after every epoch, the last two kept, loaded without running code from them.

No random state is stored, for there is none: every draw derives from (seed, purpose, epoch).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import write_atomically

KEPT = 2
FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """State of a stage after ``epochs`` epochs.

    Attributes:
        key: key of the stage it belongs to.
        method: method that ran the stage.
        fold: fold it was trained on.
        data: fingerprint of the data set it was trained on.
        epochs: epochs done.
        journal: length of the journal in bytes at that moment.
        models: state of each network of the method, by name.
        optimiser: state of the optimiser, of the learning-rate schedule and of the loss scaler.
    """

    key: str
    method: str
    fold: int
    data: str
    epochs: int
    journal: int
    models: dict[str, dict[str, Tensor]]
    optimiser: dict[str, Any] = field(default_factory=dict)


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write the checkpoint of an epoch and drop those before the last two."""
    path = folder / f"epoch_{checkpoint.epochs:04d}.pt"
    # not asdict(): it would copy every tensor
    content = {"format": FORMAT, **{name: getattr(checkpoint, name) for name in checkpoint.__dataclass_fields__}}
    write_atomically(path, lambda file: torch.save(content, file))
    for old in sorted(folder.glob("epoch_*.pt"))[:-KEPT]:
        old.unlink()
    return path


def load(path: Path) -> Checkpoint:
    """Read a checkpoint, tensors on the CPU.

    Raises:
        UsageError: the file is no checkpoint of this suite.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if content.pop("format") != FORMAT:
            raise KeyError("format")
        return Checkpoint(**content)
    except Exception as error:
        raise UsageError(
            f"{path} is damaged or not a checkpoint of this suite ({str(error).splitlines()[0][:100]}); "
            "delete it to continue from the one before, or train again with --overwrite"
        ) from error


def remove_torn(folder: Path) -> None:
    """Remove what a killed run left of a checkpoint it was writing."""
    for path in folder.glob(".epoch_*"):
        path.unlink()


def latest(folder: Path) -> Path | None:
    """The newest checkpoint of a stage, if there is one."""
    return max(folder.glob("epoch_*.pt"), default=None)


def check_belongs(checkpoint: Checkpoint, path: Path, **expected: Any) -> None:
    """Refuse a checkpoint of another stage, method, fold or data set.

    Raises:
        UsageError: names the first field that differs, its value and the expected one.
    """
    for name, value in expected.items():
        found = getattr(checkpoint, name)
        if found != value:
            raise UsageError(
                f"{path} was made with {name}={found}, this run has {name}={value}; choose another --output"
            )
