from __future__ import annotations

import resource
import subprocess
import sys

import pytest

FAULTS = """
import ctypes, resource, torch
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: a fault for every small page, however much is free
from usvi_bench.core.process_memory import keep_freed_memory
if not keep_freed_memory():
    raise SystemExit(77)
def step(images=torch.ones(4 << 20)):
    maps = [images + 1]
    for _ in range(3):
        maps.append(maps[-1] * 2)
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


PAGES = 20 * 4 * (16 << 20) // resource.getpagesize()
"""What the measured steps touch: four maps of 16 MiB each."""


def test_freed_memory_is_found_in_place_again() -> None:
    """Without the option, glibc usually returns freed memory, and page faults vary between runs."""
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip("the C library is not glibc")
    assert int(done.stdout) < 0.05 * PAGES
