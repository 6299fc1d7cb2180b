"""Synthetic visible-infrared people: image trees in the layouts of SYSU-MM01 and RegDB, free of any licence."""

from __future__ import annotations

from datasets.synthetic.spec import GENERATOR_VERSIONS, SyntheticSpec, parse
from datasets.synthetic.tree import ensure

__all__ = ["GENERATOR_VERSIONS", "SyntheticSpec", "ensure", "parse"]
