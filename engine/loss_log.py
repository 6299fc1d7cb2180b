"""Log of the losses of an epoch, kept on the device and read at once."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class LossLog:
    """Log of the losses of the steps of an epoch.

    A step adds its losses without reading them, because a read makes the host wait for the device.
    """

    def __init__(self) -> None:
        self._steps: list[tuple[str, ...]] = []
        """Names of the losses of each step."""
        self._on_device: list[Tensor] = []
        self._values: list[NDArray[np.float32]] = []
        """Values of the steps that have been read."""

    def add(self, names: tuple[str, ...], values: Tensor) -> None:
        """Add a step.

        Args:
            names: names of its losses.
            values: ``[len(names)]`` values, on the device.
        """
        self._steps.append(names)
        self._on_device.append(values)

    def means(self) -> dict[str, float]:
        """Return the mean of each loss over the steps that computed it."""
        with np.errstate(invalid="ignore"):  # infinities of both signs
            sums = {name: np.add.accumulate(values) for name, (_, values) in self._by_name().items()}
        return {name: float(values[-1]) / len(values) for name, values in sums.items()}

    def first_failures(self) -> dict[str, int]:
        """Return the first step, from 0, in which each loss was not finite; without the finite ones."""
        wrong = {name: steps[~np.isfinite(values)] for name, (steps, values) in self._by_name().items()}
        return {name: int(steps[0]) for name, steps in wrong.items() if len(steps)}

    def _by_name(self) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Return the steps that computed each loss, and its values in them."""
        self._read()
        found: dict[str, tuple[list[int], list[np.float32]]] = {}
        for step, (names, values) in enumerate(zip(self._steps, self._values, strict=True)):
            for name, value in zip(names, values, strict=True):
                steps, kept = found.setdefault(name, ([], []))
                steps.append(step)
                kept.append(value)
        return {name: (np.array(steps), np.array(kept)) for name, (steps, kept) in found.items()}

    def _read(self) -> None:
        """Copy the values of new steps to the host in one piece."""
        if not self._on_device:
            return
        lengths = [len(values) for values in self._on_device]
        read = torch.cat(self._on_device).float().cpu().numpy()
        self._values += np.split(read, np.cumsum(lengths)[:-1])
        self._on_device = []
