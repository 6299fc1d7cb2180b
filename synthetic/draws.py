"""Random draws that are equal on every processor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from usvi_bench.core.seeding import numpy_generator
from usvi_bench.synthetic.arithmetic import exponential, logarithm

EDITION = 6
"""Edition of the people, which enters every draw: raising it replaces all people, clothes, walks and places."""

T = TypeVar("T")

# Rational approximations of the normal quantile in three ranges, accurate to about 1e-6: PPND7 of Wichura, "Algorithm
# AS 241: The Percentage Points of the Normal Distribution", Applied Statistics 37 (1988).
_MIDDLE = (
    (3.3871327179, 50.434271938, 159.29113202, 59.109374720),
    (1.0, 17.895169469, 78.757757664, 67.187563600),
)
_OUTER = ((1.4234372777, 2.7568153900, 1.3067284816, 0.17023821103), (1.0, 0.73700164250, 0.12021132975))
_FAR = ((6.6579051150, 3.0812263860, 0.42868294337, 0.017337203997), (1.0, 0.24197894225, 0.012258202635))


def stream(seed: int, *purpose: str | int) -> Generator:
    """Return a new NumPy generator for one purpose of one edition of people."""
    return numpy_generator(seed, "edition", EDITION, *purpose)


class Draws:
    """Draws for one purpose, from NumPy's stream of integers and basic arithmetic.

    NumPy's own normal, beta and gamma draws call the exponentials and logarithms of the C library.
    """

    def __init__(self, seed: int, *purpose: str | int) -> None:
        self._stream = stream(seed, *purpose)

    def random(self) -> float:
        """Draw a number from 0 to 1, without 1."""
        return float(self._stream.random())

    def tones(self, count: int) -> NDArray[np.float32]:
        """Draw numbers from 0 to 1, without 1."""
        return self._stream.random(count, dtype=np.float32)

    def integers(self, low: int, high: int | None = None) -> int:
        """Draw an integer below ``low``, or from ``low`` to below ``high``."""
        return int(self._stream.integers(low, high))

    def uniform(self, low: float, high: float) -> float:
        """Draw a number from ``low`` to ``high``."""
        return low + (high - low) * self.random()

    def choice(self, values: Sequence[T], shares: Sequence[float] | None = None) -> T:
        """Draw one of the values, with probabilities proportional to ``shares``."""
        if shares is None:
            return values[self.integers(len(values))]
        at, reached = self.random() * math.fsum(shares), 0.0
        for value, share in zip(values, shares, strict=True):
            reached += share
            if at < reached:
                return value
        return values[-1]

    def normal(self, mean: float = 0.0, deviation: float = 1.0) -> float:
        """Draw from a normal distribution."""
        return mean + deviation * normal_quantile(max(self.random(), 2.0**-53))

    def lognormal(self, mean: float, deviation: float) -> float:
        """Draw the exponential of a normal draw."""
        return exponential(self.normal(mean, deviation))

    def beta(self, first: float, second: float) -> float:
        """Draw from a beta distribution; both parameters are at least 1."""
        one, other = self._gamma(first), self._gamma(second)
        return one / (one + other)

    def _gamma(self, shape: float) -> float:
        """Draw by the method of Marsaglia and Tsang, "A Simple Method for Generating Gamma Variables" (2000)."""
        scale = shape - 1 / 3
        while True:
            x = self.normal()
            cube = 1 + x / math.sqrt(9 * scale)
            cube = cube * cube * cube
            if cube > 0 and logarithm(1 - self.random()) < 0.5 * x * x + scale * (1 - cube + logarithm(cube)):
                return scale * cube

    def noise(self, *shape: int) -> NDArray[np.float32]:
        """Draw an array of normal noise, one of 4,096 levels."""
        count = math.prod(shape)
        raw = np.asarray(self._stream.bit_generator.random_raw(-(-count // 4)), "<u8").view("<u2")[:count]
        noise: NDArray[np.float32] = _levels()[raw >> 4].reshape(shape)
        return noise


def normal_quantile(share: float) -> float:
    """Return the value that a share of normal draws does not exceed.

    >>> round(normal_quantile(0.975), 6)
    1.959964
    """
    centred = share - 0.5
    if abs(centred) <= 0.425:
        return centred * _ratio(0.180625 - centred * centred, *_MIDDLE)
    outer = math.sqrt(-logarithm(min(share, 1 - share)))
    value = _ratio(outer - 1.6, *_OUTER) if outer <= 5 else _ratio(outer - 5, *_FAR)
    return value if centred > 0 else -value


def _ratio(x: float, above: Sequence[float], below: Sequence[float]) -> float:
    values = []
    for coefficients in (above, below):
        value = 0.0
        for coefficient in reversed(coefficients):
            value = value * x + coefficient
        values.append(value)
    return values[0] / values[1]


@lru_cache(maxsize=1)
def _levels() -> NDArray[np.float32]:
    """Return the normal quantiles in the middle of 4,096 equally likely parts."""
    half = [normal_quantile((i + 0.5) / 4096) for i in range(2048)]
    return np.array([*half, *(-value for value in reversed(half))], np.float32)
