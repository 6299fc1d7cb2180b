"""Checkpoints of a stage: written after every epoch, sealed by a checksum, loaded without running code from them.

No random state is stored, because every draw derives from (seed, purpose, epoch).
"""

from __future__ import annotations

import pickle
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from usvi_bench.core.errors import UsageError, printable
from usvi_bench.core.journal import Mark
from usvi_bench.core.sealed import check_seal, write_sealed

KEPT = 2
"""Number of checkpoints that a stage keeps."""
_NAME = re.compile(r"epoch_(\d+)\.pt", re.ASCII)
FORMAT = 2


@dataclass(frozen=True)
class Checkpoint:
    """Checkpoint: the state of a stage after ``epochs`` epochs.

    Attributes:
        key: key of the stage it belongs to.
        method: method that ran the stage.
        fold: fold it was trained on.
        data: fingerprint of the data set it was trained on.
        epochs: epochs done.
        journal: end of the journal at that moment.
        models: state of each network of the method, by name.
        optimiser: state of the optimiser, of the learning-rate schedule and of the loss scaler.
    """

    key: str
    method: str
    fold: int
    data: str
    epochs: int
    journal: Mark
    models: dict[str, dict[str, Tensor]]
    optimiser: dict[str, Any] = field(default_factory=dict)


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write the checkpoint of an epoch and remove all but the last two."""
    path = folder / f"epoch_{checkpoint.epochs:04d}.pt"
    # not asdict(): it would copy every tensor
    content = {"format": FORMAT, **{name: getattr(checkpoint, name) for name in checkpoint.__dataclass_fields__}}
    content["journal"] = tuple(checkpoint.journal)
    write_sealed(path, lambda file: torch.save(content, file))
    for old in _all(folder)[:-KEPT]:
        old.unlink()
    return path


def load(path: Path) -> Checkpoint:
    """Read a checkpoint, tensors on the CPU.

    Raises:
        UsageError: the file is damaged, or is not a checkpoint of this suite.
    """
    remedy = "delete it to continue from the previous checkpoint, or train again with --overwrite"
    try:
        check_seal(path, remedy)
        content = torch.load(path, map_location="cpu", weights_only=True)
        if content.pop("format", None) != FORMAT:
            raise ValueError("it has another format")
        return Checkpoint(**{**content, "journal": Mark(*content["journal"])})
    except UsageError:
        raise
    except Exception as error:
        reason = "it holds more than plain data" if isinstance(error, pickle.UnpicklingError) else str(error)
        line = printable(reason.partition("\n")[0][:100])
        raise UsageError(f"{path} is not a checkpoint of this suite ({line}); {remedy}") from error


def latest(folder: Path) -> Path | None:
    """Return the newest checkpoint of a stage, or None."""
    return next(iter(reversed(_all(folder))), None)


def epochs_done(folder: Path) -> int:
    """Return the number of epochs of the newest checkpoint of a stage, by its name; 0 without one."""
    return max(_by_epochs(folder), default=0)


def _all(folder: Path) -> list[Path]:
    """Return the checkpoints of a stage, oldest first."""
    return [path for _, path in sorted(_by_epochs(folder).items())]


def _by_epochs(folder: Path) -> dict[int, Path]:
    return {int(match[1]): path for path in folder.glob("epoch_*.pt") if (match := _NAME.fullmatch(path.name))}


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
