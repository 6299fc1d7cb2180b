from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]

EXAMPLE = """
import os
import numpy as np
import torch
from usvi_bench.benchmarks.measure import measured

inputs = np.ones((4000, 4000))  # 122 MiB that the child shares

def call():
    some = inputs @ inputs[:, :100]
    double = inputs * 2
    copy = double * 1  # two arrays of 122 MiB at once
    product = torch.from_numpy(inputs[:600]).mm(torch.from_numpy(inputs[:, :600]))  # a parallel region after the fork
    return os.getpid(), torch.get_num_threads(), float(product[0, 0] + some[0, 0] + copy[0, 0])

prepared = []
(child, threads, value), taken = measured(call, prepare=lambda: prepared.append(1), repeats=2, threads=2)
assert child != os.getpid() and not prepared
assert threads == 2 and value == 8002.0
assert 200 < taken.extra_mib < 330, taken
assert 0 < taken.best <= taken.wall < 60 and taken.cpu > 0 and taken.gpu_mib == 0
try:
    measured(lambda: [][1])
except RuntimeError as error:
    assert "IndexError" in str(error)
else:
    raise AssertionError("no error")
try:
    measured(lambda: os._exit(7))
except RuntimeError as error:
    assert "exit code 7" in str(error)
else:
    raise AssertionError("no error")
print("fine")
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is read from /proc")
def test_a_child_is_timed_and_its_memory_counted() -> None:
    done = subprocess.run([sys.executable, "-c", EXAMPLE], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout == "fine\n", done.stderr


def test_the_machine_is_described_without_its_name() -> None:
    from usvi_bench.benchmarks.measure import machine

    described = machine(torch.device("cpu"))
    assert described["cores"] >= 1
    assert described["memory_gib"] > 0
    assert {"cpu", "environment", "gpu", "commit", "dirty"} < set(described)
    assert "threads" not in described
