"""The starting weights without any training: what every method has to beat."""

from __future__ import annotations

from usvi_bench.core.registry import METHODS
from usvi_bench.methods.base import Method, MethodConfig, Stage


@METHODS.register("untrained")
class Untrained(Method):
    """The encoder as it starts, scored like any other."""

    summary = "the starting weights, untrained (lower reference)"

    @classmethod
    def stages(cls, config: MethodConfig) -> tuple[Stage, ...]:
        return ()
