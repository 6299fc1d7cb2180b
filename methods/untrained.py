"""The untrained encoder, the lower reference of every table."""

from __future__ import annotations

from usvi_bench.core.registry import METHODS
from usvi_bench.methods.base import Method, MethodConfig, Stage


@METHODS.register("untrained")
class Untrained(Method):
    """Untrained encoder, scored with its starting weights."""

    summary = "the starting weights, untrained (lower reference)"

    @classmethod
    def stages(cls, config: MethodConfig) -> tuple[Stage, ...]:
        return ()
