"""No method knows whether its steps are shared by processes: each takes the steps it takes alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.methods import world
from tests.methods.test_every_method import TRAINED, build
from tests.together import together
from usvi_bench.core.distributed.group import destroy_process_group, init_process_group


def shared_steps(rank: int, folder: Path) -> None:
    init_process_group(torch.device("cpu"), timeout=600)
    histories = {name: world.train_steps(build(name)) for name in TRAINED}
    (folder / f"{rank}.json").write_text(json.dumps(histories))
    destroy_process_group()


def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    together(2, shared_steps, tmp_path)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first == second, "losses are the same on every process"
    for name in TRAINED:
        for step, expected in enumerate(world.train_steps(build(name))):
            # after a step of Adam, which turns the sign of a gradient of noise into a full step, only about
            assert first[name][step] == pytest.approx(expected, rel=0.03 if step else 1e-4, abs=1e-5), (name, step)
