"""Provenance of a run: commit, machine, times and journal, which may differ when the run is repeated."""

from __future__ import annotations

from typing import Any, TypedDict

from usvi_bench.core.plugins import Plugin


class Overrides(TypedDict):
    """Options of ``run.py`` that differ from the setting: values of ``--set`` by name, and ``--schedule``."""

    settings: dict[str, Any]
    schedule: str | None


class _Required(TypedDict):
    commit: str | None
    dirty: bool
    environment: dict[str, Any]
    cpu: str
    gpu: str | None
    threads: int
    global_batch: int | None
    batch_norm: str
    seconds: dict[str, float]
    peak_memory_mib: float | None
    finished: str


class _Start(TypedDict):
    commit: str | None
    dirty: bool
    started: str


class StageStart(_Start, total=False):
    """Start of a stage, or its resumption, with its environment."""

    environment: dict[str, Any]
    cpu: str
    gpu: str | None
    threads: int
    processes: int
    deterministic: bool
    numerics: dict[str, Any]


class StageNote(TypedDict):
    """Stage of a run: its key, the method that it trains, its fold, and all its starts."""

    key: str
    method: str
    fold: int
    starts: list[StageStart]


class JournalEnd(TypedDict):
    """End of the journal of a run: its length in bytes, and the chain value of its last line."""

    length: int
    chain: str


class Provenance(_Required, total=False):
    """Provenance of a run: the half of a record that may differ between repetitions. Further keys are kept.

    ``seconds`` has one entry per phase and no total. ``finished`` is in UTC, ISO 8601. ``overrides`` holds the options
    that differ from the setting. ``ablation`` names the grid and the row that the run belongs to. ``plugins`` lists the
    plug-ins that were imported or whose parts were used; it is absent if there are none. ``stages`` lists the trained
    stages, ``processes`` is the number of training processes, ``deterministic`` selects deterministic kernels,
    ``numerics`` holds precision, TF32, memory layout, fused Adam and compilation (older records lack it), and
    ``journal`` ties the journal to the record.
    """

    overrides: Overrides
    stages: list[StageNote]
    processes: int
    deterministic: bool
    numerics: dict[str, Any]
    ablation: str
    plugins: list[Plugin]
    journal: JournalEnd
