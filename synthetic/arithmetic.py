"""Functions that have the same bits on every processor, whatever the libraries and their instruction sets.

IEEE 754 defines the results of ``+ - * /``, square roots and rounding to integers, bit by bit. It does not define those
of sines, exponentials, logarithms and powers, nor the order of sums in reductions and matrix products, nor whether a
library merges a product and a sum. So the generator uses only what is defined, one operation at a time, and the
functions below are built from it. :func:`sine` to :func:`power` take numbers and arrays, with errors of about 1e-15.
:func:`wave` to :func:`blend` take large arrays or tensors and are as accurate as a pixel needs.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_PI_HALF = (1.57079632673412561417, 6.07710050650619224932e-11)
"""Half of pi in two parts: products of the first with whole numbers up to 2^20 are exact."""
_LOG_2 = (6.93147180369123816490e-01, 1.90821492927058770002e-10)
"""Natural logarithm of 2 in two parts, as above."""
_SINE = [(-1) ** n / math.factorial(2 * n + 1) for n in range(9)]
_COSINE = [(-1) ** n / math.factorial(2 * n) for n in range(9)]
_EXPONENTIAL = [1 / math.factorial(n) for n in range(14)]
_LOGARITHM = [2 / (2 * n + 1) for n in range(12)]
_ARC = (0.9998660, -0.3302995, 0.1801410, -0.0851330, 0.0208351)
"""Arc tangent on [0, 1] to 1e-5: Abramowitz and Stegun, "Handbook of Mathematical Functions", equation 4.4.49."""

Real = TypeVar("Real", float, NDArray[np.float64])
Large = TypeVar("Large", Tensor, NDArray[np.float32])


def _polynomial(x: Any, coefficients: list[float] | tuple[float, ...]) -> Any:
    value = x * coefficients[-1] + coefficients[-2]
    for coefficient in coefficients[-3::-1]:
        value = value * x + coefficient
    return value


def _like(value: Any, x: Real) -> Real:
    result: Real = value if isinstance(x, np.ndarray) else float(value)
    return result


def clip(value: float, low: float, high: float) -> float:
    """Limit a number to a range."""
    return min(max(value, low), high)


def sine(x: Real) -> Real:
    """Compute the sine of angles in radians, up to about a million."""
    quarter = np.floor(np.multiply(x, 2 / math.pi) + 0.5)
    rest = (x - quarter * _PI_HALF[0]) - quarter * _PI_HALF[1]
    square, turn = rest * rest, quarter - 4 * np.floor(quarter / 4)
    odd = (turn == 1) | (turn == 3)
    value = np.where(odd, _polynomial(square, _COSINE), rest * _polynomial(square, _SINE))
    return _like(np.where(turn >= 2, -value, value), x)


def cosine(x: Real) -> Real:
    """Compute the cosine of angles in radians."""
    return sine(x + math.pi / 2)


def exponential(x: Real) -> Real:
    """Compute the exponential of numbers between -700 and 700."""
    double = np.floor(np.multiply(x, 1 / math.log(2)) + 0.5)
    rest = (x - double * _LOG_2[0]) - double * _LOG_2[1]
    return _like(np.ldexp(_polynomial(rest, _EXPONENTIAL), double.astype(np.int32)), x)


def logarithm(x: Real) -> Real:
    """Compute the natural logarithm of positive numbers."""
    part, double = np.frexp(x)
    small = part < math.sqrt(0.5)
    part, double = np.where(small, 2 * part, part), double - small
    ratio = (part - 1) / (part + 1)
    return _like((double * _LOG_2[1] + ratio * _polynomial(ratio * ratio, _LOGARITHM)) + double * _LOG_2[0], x)


def power(base: Real, exponent: float | NDArray[np.float64]) -> Real:
    """Raise numbers that are not negative to a positive power, or positive numbers to any power."""
    raised = exponential(exponent * logarithm(np.maximum(base, 1e-300)))
    return _like(np.where(np.equal(base, 0), 0.0, raised), base)


def wave(x: Large) -> Large:
    """Compute the sine of angles in radians to 0.0011."""
    turns = x * (0.5 / math.pi)
    turns -= turns.round()
    bow = abs(turns)
    bow *= -16
    bow += 8
    bow *= turns
    lift = abs(bow)
    lift *= 0.225
    lift += 0.775
    bow *= lift
    return bow


def falloff(x: Large) -> Large:
    """Compute the exponential of ``-x``, for ``x`` from 0 on, to 0.002."""
    part = (x * (1 / 32)).clip(0, 1)
    part *= 0.5 * part - 1
    part += 1
    for _ in range(5):
        part *= part
    return part


def root(x: Tensor) -> Tensor:
    """Compute square roots; the vector library that torch calls on a CPU need not round them correctly."""
    return torch.from_numpy(np.sqrt(x.numpy())) if x.device.type == "cpu" else x.sqrt()


def bearing(left: Tensor, forward: Tensor) -> Tensor:
    """Compute the angle to the left in radians, -pi to pi, to 1e-5."""
    across, along = left.abs(), forward.abs()
    ratio = torch.minimum(across, along) / torch.maximum(across, along).clamp_min_(1e-20)
    angle = ratio * _polynomial(ratio * ratio, _ARC)
    angle = torch.where(across > along, math.pi / 2 - angle, angle)
    angle = torch.where(forward < 0, math.pi - angle, angle)
    return torch.where(left < 0, -angle, angle)


def remainder(x: Large, period: float) -> Large:
    """Compute the remainder of a division, 0 to ``period``."""
    ratio = x / period
    whole: Any = ratio.floor() if isinstance(ratio, Tensor) else np.floor(ratio)
    rest: Large = x - whole * period
    return rest


def blend(first: Tensor, second: Tensor, share: Tensor | float) -> Tensor:
    """Blend two tensors; ``share`` is that of the second."""
    return first + share * (second - first)
