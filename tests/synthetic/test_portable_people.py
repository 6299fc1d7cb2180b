"""Bytes of synthetic people on other processors: instruction sets, exact operations, committed digests."""

from __future__ import annotations

import ast
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import beta, kstest
from torch.utils._python_dispatch import TorchDispatchMode

from tests.synthetic.portable_images import digest_of_images
from usvi_bench.datasets.open import open_dataset
from usvi_bench.synthetic import GENERATOR_VERSIONS, SyntheticSpec
from usvi_bench.synthetic.arithmetic import (
    bearing,
    cosine,
    exponential,
    falloff,
    logarithm,
    power,
    remainder,
    root,
    sine,
    wave,
)
from usvi_bench.synthetic.digests import KNOWN, PEOPLE, known_digest, other_bytes
from usvi_bench.synthetic.draws import Draws, normal_quantile
from usvi_bench.synthetic.spec import BOARD_SEED, DEVELOPMENT_SEEDS
from usvi_bench.synthetic.tree import MANIFEST

ROOT = Path(__file__).resolve().parents[2]
NEW_UNITS = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR X86_V4"
PROCESSORS = {
    "without vector units": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "COMPATIBLE",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "NPY_DISABLE_CPU_FEATURES": f"{NEW_UNITS} AVX2 FMA3 X86_V3",
        "JSIMD_FORCENONE": "1",
        "OMP_NUM_THREADS": "1",
    },
    "AVX2, two threads": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "NPY_DISABLE_CPU_FEATURES": NEW_UNITS,
        "OMP_NUM_THREADS": "2",
    },
    "AVX-512": {"ATEN_CPU_CAPABILITY": "avx512", "OMP_NUM_THREADS": "1"},
}


@pytest.fixture(scope="module")
def expected() -> str:
    return digest_of_images()


def flags_of_this_processor() -> list[str]:
    info = Path("/proc/cpuinfo")
    return info.read_text().split() if info.exists() else []


@pytest.mark.parametrize("processor", PROCESSORS)
def test_bytes_do_not_depend_on_instruction_sets(processor: str, expected: str) -> None:
    if processor == "AVX-512" and "avx512f" not in flags_of_this_processor():
        pytest.skip("this processor has no AVX-512")
    environment = {**os.environ, **PROCESSORS[processor]}
    command = [sys.executable, "-m", "tests.synthetic.portable_images"]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    assert done.stdout.strip() == expected


# Operations ---------------------------------------------------------------------------------------------------

MOVES = {
    "_local_scalar_dense", "_to_copy", "_unsafe_view", "amax", "amin", "arange", "cat", "clone", "constant_pad_nd",
    "copy_", "detach", "expand", "eye", "full", "full_like", "index", "index_select", "lift_fresh", "masked_fill_",
    "nonzero", "ones", "ones_like", "permute", "repeat_interleave", "replication_pad2d", "scalar_tensor", "scatter",
    "scatter_", "scatter_reduce_", "searchsorted", "select", "slice", "stack", "t", "transpose", "unbind",
    "unsqueeze", "view", "where", "zeros", "zeros_like",
}  # fmt: skip
ROUNDED = {
    "abs", "add", "ceil", "clamp", "clamp_max", "clamp_min", "div", "floor", "maximum", "minimum", "mul", "neg",
    "reciprocal", "round", "rsub", "sub", "eq", "ge", "gt", "le", "lt", "ne", "bitwise_and", "bitwise_left_shift",
    "bitwise_not", "bitwise_or", "__rshift__",
}  # fmt: skip
EXACT = {*MOVES, *ROUNDED, *(f"{name}_" for name in ROUNDED)}
"""Operations whose results IEEE 754 or integer arithmetic defines."""


class _Exact(TorchDispatchMode):
    """Exact mode: collects the operations that are not in ``EXACT``."""

    def __init__(self) -> None:
        super().__init__()
        self.others: set[str] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        whole = not torch.is_tensor(args[0]) or not args[0].is_floating_point() if args else True
        fine = (name == "pow" and args[1] == 2) or (name in ("cumsum", "floor_divide") and whole)
        merged = name.rstrip("_") in ("add", "sub", "rsub") and (kwargs or {}).get("alpha", 1) != 1
        if merged or (name not in EXACT and not fine):
            self.others.add(name)
        return function(*args, **(kwargs or {}))


def test_tensors_pass_through_exact_operations_only(expected: str) -> None:
    with _Exact() as mode:
        assert digest_of_images() == expected
    assert not mode.others
    with _Exact() as mode:
        torch.ones(3).sin().add(torch.ones(3), alpha=2).sum()
    assert mode.others == {"sin", "add", "sum"}


NUMPY = {
    "arange", "array", "asarray", "ascontiguousarray", "bool_", "clip", "empty", "equal", "expand_dims", "float32",
    "float64", "floor", "frexp", "full", "int32", "int64", "ldexp", "maximum", "min", "minimum", "multiply",
    "ndarray", "ones", "pi", "size", "sqrt", "stack", "uint8", "where", "zeros", "zeros_like",
}  # fmt: skip
MATH = {"pi", "sqrt", "ceil", "fsum", "prod", "copysign", "factorial", "log"}
"""``math.log`` and ``math.factorial`` make constants of ``arithmetic``."""


def _used(tree: ast.AST, module: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == module:
            yield node.attr


def test_arrays_pass_through_exact_functions_only() -> None:
    files = sorted((ROOT / "synthetic").glob("*.py"))
    assert len(files) > 30
    for file in files:
        tree = ast.parse(file.read_text())
        assert set(_used(tree, "np")) <= NUMPY, file.name
        assert set(_used(tree, "math")) <= (MATH if file.name == "arithmetic.py" else MATH - {"log"}), file.name
        powers = [n for n in ast.walk(tree) if isinstance(n, ast.BinOp) and isinstance(n.op, ast.Pow | ast.MatMult)]
        assert all(isinstance(n.right, ast.Constant) and n.right.value == 2 for n in powers) or file.name in (
            "arithmetic.py",  # signs of a series
            "draws.py",  # 2.0**-53
            "raycast.py",  # 2.0**26
        ), file.name


# Functions and draws ------------------------------------------------------------------------------------------


def test_functions_are_accurate() -> None:
    x, positive = np.linspace(-60, 60, 9001), np.exp(np.linspace(-40, 40, 9001))
    np.testing.assert_allclose(sine(x), np.sin(x), rtol=0, atol=1e-14)
    np.testing.assert_allclose(cosine(x), np.cos(x), rtol=0, atol=1e-14)
    np.testing.assert_allclose(exponential(x), np.exp(x), rtol=1e-14)
    np.testing.assert_allclose(logarithm(positive), np.log(positive), rtol=1e-14)
    np.testing.assert_allclose(power(positive, 0.7), positive**0.7, rtol=1e-13)
    assert [power(0.0, 0.5), sine(0.0), cosine(0.0), exponential(0.0), logarithm(1.0)] == [0, 0, 1, 1, 0]
    assert isinstance(sine(1.0), float)
    large = torch.linspace(-60, 60, 9001)
    assert (wave(large) - large.sin()).abs().max() < 0.0012
    assert (falloff(large.abs()) - (-large.abs()).exp()).abs().max() < 0.0003
    assert torch.equal(root(large.abs()), large.abs().double().sqrt().float())
    np.testing.assert_allclose(remainder(large, 5.0), torch.remainder(large.double(), 5.0), atol=1e-5)
    turn = torch.linspace(-math.pi, math.pi, 1001)
    assert (bearing(turn.sin(), turn.cos()) - torch.atan2(turn.sin(), turn.cos())).abs().max() < 2e-5
    assert bearing(torch.zeros(1), torch.zeros(1)) == 0


def test_draws_have_their_distributions() -> None:
    draws = Draws(0, "test")
    normals = [draws.normal(2.0, 3.0) for _ in range(4000)]
    assert kstest(normals, "norm", (2.0, 3.0)).pvalue > 0.01
    assert kstest([draws.beta(1.2, 1.7) for _ in range(4000)], beta(1.2, 1.7).cdf).pvalue > 0.01
    assert kstest([draws.uniform(1, 3) for _ in range(4000)], "uniform", (1, 2)).pvalue > 0.01
    noise = draws.noise(3, 100, 100)
    assert noise.shape == (3, 100, 100)
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1) < 0.02
    picked = [draws.choice("abc", [0.5, 0.0, 1.5]) for _ in range(4000)]
    assert picked.count("b") == 0
    assert abs(picked.count("a") / 4000 - 0.25) < 0.03
    for share in (1e-14, 1e-6, 0.01, 0.3, 0.5, 0.9999):
        reference = math.sqrt(2) * float(torch.erfinv(torch.tensor(2 * share - 1, dtype=torch.float64)))
        assert normal_quantile(share) == pytest.approx(reference, abs=2e-6) or share < 1e-9


# Committed digests --------------------------------------------------------------------------------------------


def test_people_have_the_committed_digests(tiny_people: dict[str, Path]) -> None:
    for layout, tree in tiny_people.items():
        note = json.loads((tree / MANIFEST).read_text())
        assert note["bytes"] == known_digest(layout, SyntheticSpec(size="tiny"))
        assert other_bytes(note) == ""


def test_the_people_of_tests_development_and_boards_have_digests_in_every_layout() -> None:
    names = {spec.folder(layout) for spec in PEOPLE for layout in GENERATOR_VERSIONS}
    assert {spec.seed for spec in PEOPLE} == {0, *DEVELOPMENT_SEEDS, BOARD_SEED}
    assert set(json.loads(KNOWN.read_text())) == names


def test_other_bytes_are_named_before_any_work(tiny_people: dict[str, Path], tmp_path: Path) -> None:
    note = json.loads((tiny_people["regdb"] / MANIFEST).read_text())
    tree = tmp_path / "tree"
    tree.mkdir()
    for entry in tiny_people["regdb"].iterdir():
        (tree / entry.name).symlink_to(entry)
    (tree / MANIFEST).unlink()
    (tree / MANIFEST).write_text(json.dumps({**note, "bytes": "0" * 64}))
    messages: list[str] = []
    open_dataset("regdb", str(tree), progress=messages.append)
    assert [text for text in messages if text.startswith("other images than everywhere else") and "\n" not in text]
    for change in ({"generator_version": 4}, {"spec": {**note["spec"], "seed": 7}}, {"spec": {"seeds": 1}}):
        assert other_bytes({**note, "bytes": "0" * 64, **change}) == ""
