from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from usvi_bench.core import process_memory as memory
from usvi_bench.core.measuring import collect_metrics, record_min, record_value, timed
from usvi_bench.core.process_memory import extra_memory, peak_memory_mib

CPU = torch.device("cpu")


def test_metrics_reach_the_innermost_collecting_block() -> None:
    with collect_metrics() as outer:
        record_value("a", 1)
        with collect_metrics() as inner:
            record_value("a", 2)
            record_value("a", 3)
        record_min("b", 5)
        record_min("b", 4)
        record_min("b", 6)
    assert outer == {"a": 1, "b": 4}
    assert inner == {"a": 3}
    record_value("c", 1)  # nobody asked
    assert outer == {"a": 1, "b": 4}


def test_seconds_of_several_blocks_add_up() -> None:
    with collect_metrics() as figures:
        for _ in range(3):
            with timed("nap"):
                time.sleep(0.01)
    assert 0.03 <= figures["nap_seconds"] < 1


def test_another_thread_does_not_report_here() -> None:
    with collect_metrics() as figures, ThreadPoolExecutor(1) as pool:
        pool.submit(record_value, "a", 1).result()
    assert figures == {}


@pytest.mark.skipif(not memory._reset(CPU), reason="the system cannot reset its high-water mark")
def test_extra_memory_is_that_of_the_block_alone() -> None:
    before = np.ones(100 << 17)  # 100 MiB, freed before the block
    del before
    overall = peak_memory_mib(CPU)
    with collect_metrics() as figures, extra_memory(CPU):
        block = np.ones(60 << 17)
        del block
    assert 55 <= figures["memory_mib"] <= 75
    with collect_metrics() as small, extra_memory(CPU):
        pass
    assert small["memory_mib"] < 5
    assert peak_memory_mib(CPU) >= overall  # of the whole process, whatever was reset


CHILD = """
import numpy as np, torch
from usvi_bench.core.measuring import collect_metrics
from usvi_bench.core.process_memory import extra_memory
with collect_metrics() as figures, extra_memory(torch.device("cpu")):
    np.ones(60 << 17)
print(figures["memory_mib"])
"""


@pytest.mark.skipif(not memory._reset(CPU), reason="the system cannot reset its high-water mark")
def test_a_process_does_not_inherit_the_mark_of_a_larger_one() -> None:
    large = np.ones(600 << 17)
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    assert len(large)
    assert 55 <= float(done.stdout) <= 80


def test_nothing_is_reported_where_the_system_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_RESET", memory.Path("/nowhere/clear_refs"))
    with collect_metrics() as figures, extra_memory(CPU):
        pass
    assert figures == {}
