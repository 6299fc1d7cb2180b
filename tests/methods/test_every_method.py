"""What holds for every method: a new one adds a row to ``METHODS_UNDER_TEST``."""

from __future__ import annotations

import ast
import inspect
import math
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import usvi_bench
from tests.methods import world
from usvi_bench.core.registry import METHODS
from usvi_bench.methods.base import Method

METHODS_UNDER_TEST = {
    "adca": {"k1": 6, "k2": 2},
    "bmil": {"k1": 6, "k2": 2, "joint_k1": 16, "joint_k2": 4, "subset": 1.0},
    "cluster_contrast": {"k1": 6, "k2": 2},
    "dmic": {"k1": 6, "k2": 2},
    "pgm": {"k1": 6, "k2": 2},
    "mmm": {"k1": 6, "k2": 2, "joint_k1": 20, "joint_k2": 16},
    "pclhd": {"k1": 6, "k2": 2, "joint_k1": 20, "joint_k2": 16},
    "hil": {"k1": 6, "k2": 2},
    "nulc": {"k1": 6, "k2": 2, "neighbours": 6},
    "rpnr": {"k1": 6, "k2": 2},
    "sclhm": {"k1": 6, "k2": 2},
    "soft_prototype": {"k1": 6, "k2": 2},
    "supervised": {},
    "untrained": {},
}
PARTS = {
    "adca": ("CMA",),
    "bmil": ("BMGC", "MIRL"),
    "cluster_contrast": ("DCL",),
    "dmic": ("MIE", "DNC", "HMCL"),
    "hil": ("BRST", "MCCL"),
    "nulc": ("N-ULC", "N-DW"),
    "mmm": ("CMC", "MMLM", "SCA"),
    "pclhd": ("DPCL",),
    "rpnr": ("NPC", "OTPM", "MHL", "NRL"),
    "sclhm": ("SSCL", "HML", "AMU"),
}
"""What papers call the parts of their methods."""
TRAINED = [name for name in METHODS_UNDER_TEST if METHODS.get(name).stages(METHODS.get(name).Config())]


def build(name: str) -> Method:
    cls = METHODS.get(name)
    method: Method = cls(replace(cls.Config(), **METHODS_UNDER_TEST[name]), world.encoder())
    return method


def test_every_registered_method_is_under_test() -> None:
    lacking, unknown = set(METHODS.names()) - set(METHODS_UNDER_TEST), set(METHODS_UNDER_TEST) - set(METHODS.names())
    assert not lacking, f"tests/methods/test_every_method.py: add a row to METHODS_UNDER_TEST: {sorted(lacking)}"
    assert not unknown, f"tests/methods/test_every_method.py: remove the rows of METHODS_UNDER_TEST: {sorted(unknown)}"


@pytest.mark.parametrize("name", sorted(METHODS_UNDER_TEST))
def test_a_method_is_named_like_its_file_and_described(name: str) -> None:
    cls = METHODS.get(name)
    file = f"methods/{cls.__module__.rpartition('.')[2]}.py"
    assert file == f"methods/{name}.py", f"{file}: rename it like the method, to {name}.py"
    assert cls.summary, f"{file}: give the class an attribute 'summary', the line of --list"
    assert cls.__doc__, f"{file}: give the class a docstring with what differs from the paper and from released code"
    assert cls.headline in build(name).models()


@pytest.mark.parametrize(("name", "part"), [(name, part) for name, parts in PARTS.items() for part in parts])
def test_a_part_of_the_paper_stands_with_its_equation_where_it_is_computed(name: str, part: str) -> None:
    tree = ast.parse(inspect.getsource(sys.modules[METHODS.get(name).__module__]))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    documented = [text for text in map(ast.get_docstring, functions) if text]
    named = [text for text in documented if re.search(rf"\w.* {part} \(\w", text.partition("\n")[0])]
    assert named, f"no first line of a docstring of {name} has {part} and its meaning in brackets"
    assert any(" = " in text or " <- " in text for text in named), f"{part} has no equation"


@pytest.mark.parametrize("name", sorted(METHODS_UNDER_TEST))
def test_only_the_supervised_bound_declares_identities(name: str) -> None:
    declared = METHODS.get(name).uses_identities
    assert declared == (name == "supervised"), f"methods/{name}.py: uses_identities belongs to 'supervised' only"


@pytest.mark.parametrize("name", TRAINED)
def test_the_last_stage_is_the_method_itself(name: str) -> None:
    cls = METHODS.get(name)
    last = cls.stages(cls.Config())[-1].method
    assert last == name, f"methods/{name}.py: the last of stages() trains '{last}'; it must train '{name}'"


def test_named_settings_go_back_to_their_defaults() -> None:
    config = METHODS.get("pgm").Config(cross_weight=0.7, momentum=0.4, k1=9)
    assert config.reset("cross_weight", "k1") == METHODS.get("pgm").Config(momentum=0.4)


@pytest.mark.parametrize("name", TRAINED)
def test_steps_give_finite_losses_and_move_the_encoder(name: str) -> None:
    method = build(name)
    before = [p.clone() for p in method.encoder.parameters() if p.requires_grad]
    history = world.train_steps(method)
    assert all(math.isfinite(value) and value > 0 for losses in history for value in losses.values())
    after = [p for p in method.encoder.parameters() if p.requires_grad]
    moved = [not torch.equal(old, new) for old, new in zip(before, after, strict=True)]
    assert all(moved)


@pytest.mark.parametrize("name", TRAINED)
def test_the_same_steps_give_the_same_losses(name: str) -> None:
    assert world.train_steps(build(name)) == world.train_steps(build(name))


@pytest.mark.parametrize("name", TRAINED)
def test_steps_leave_global_random_state_alone(name: str) -> None:
    method = build(name)
    state = torch.get_rng_state()
    world.train_steps(method)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", TRAINED)
def test_rows_of_memories_are_buffers_of_the_method(name: str) -> None:
    """After a step that fp16 skips, the buffers of a method get their values from before the step."""
    method = build(name)
    world.train_steps(method)
    buffers = {buffer.untyped_storage().data_ptr() for buffer in method.buffers()}
    held = [part for kept in vars(method).values() for part in (kept.values() if isinstance(kept, dict) else [kept])]
    with_rows = [part for part in held if isinstance(getattr(part, "rows", None), torch.Tensor)]
    lost = [part for part in with_rows if part.rows.untyped_storage().data_ptr() not in buffers]
    assert [type(part).__name__ for part in lost] == []


@pytest.mark.parametrize("name", TRAINED)
def test_only_networks_are_in_the_checkpoint(name: str) -> None:
    """Memories are rebuilt every epoch, so a checkpoint of the models restores everything."""
    method = build(name)
    world.train_steps(method)
    saved = {k for key, model in method.models().items() for k in model.state_dict(prefix=f"{key}.")}
    networks = {"encoder": "student"}
    kept = {networks.get(k.split(".")[0], k.split(".")[0]) + "." + k.partition(".")[2] for k in method.state_dict()}
    assert kept == saved


QUICK = [(name, layout) for name in TRAINED for layout in ("sysu", "regdb")]
QUICK += [("cluster_contrast", "llcm"), ("supervised", "llcm")]


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one folder for all runs, in which equal first stages are trained once."""
    return tmp_path_factory.mktemp("runs")


@pytest.mark.parametrize(("name", "layout"), QUICK)
def test_the_quick_schedule_serves_every_method(
    name: str, layout: str, tiny_people: dict[str, Path], output: Path
) -> None:
    protocol = {"sysu": "sysu_all", "regdb": "regdb_v2i", "llcm": "llcm_v2i"}[layout]
    record = usvi_bench.run(
        name,
        protocol,
        tiny_people[layout],
        schedule="quick",
        settings={"engine.threads": 1},
        output=output,
        verbose=False,
    )
    assert record.complete
    assert record.means()["mAP"] > record.result.chance["mAP"]
