"""Synthetic visible-infrared people: image trees in the layouts of SYSU-MM01, RegDB and LLCM."""

from __future__ import annotations

from usvi_bench.synthetic.spec import GENERATOR_VERSIONS, SyntheticSpec, changed_knobs, parse
from usvi_bench.synthetic.tree import ensure

__all__ = ["GENERATOR_VERSIONS", "SyntheticSpec", "changed_knobs", "ensure", "parse"]
