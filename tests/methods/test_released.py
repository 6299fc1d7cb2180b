"""Released forms: found by name, registered nowhere, equal to the repaired form in the values of the losses."""

from __future__ import annotations

import ast
import inspect
import pkgutil
from copy import deepcopy
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from tests.methods.test_parents import QUICK
from usvi_bench.cli.main import main
from usvi_bench.components.memory.hard import HardMemory
from usvi_bench.components.memory.moved_rows import loss_by_moved_rows, similarity_by_moved_rows
from usvi_bench.core.errors import UsageError
from usvi_bench.core.record import read_record
from usvi_bench.core.registry import METHODS
from usvi_bench.engine.load_config import load_config
from usvi_bench.methods import released
from usvi_bench.methods.released.bmil import ReleasedBMIL
from usvi_bench.methods.released.hil import ReleasedHIL
from usvi_bench.methods.released.mmm import ReleasedMMM
from usvi_bench.methods.released.nulc import ReleasedNULC
from usvi_bench.methods.released.pclhd import ReleasedPCLHD
from usvi_bench.methods.released.pgm import ReleasedPGM
from usvi_bench.methods.released.rpnr import ReleasedRPNR

RELEASED = {
    "bmil": ReleasedBMIL,
    "hil": ReleasedHIL,
    "mmm": ReleasedMMM,
    "nulc": ReleasedNULC,
    "pclhd": ReleasedPCLHD,
    "pgm": ReleasedPGM,
    "rpnr": ReleasedRPNR,
}


def draws(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_every_file_is_the_released_form_of_a_method_that_has_the_setting() -> None:
    assert {module.name for module in pkgutil.iter_modules(released.__path__)} == set(RELEASED)
    for name in METHODS.names():
        cls = METHODS.get(name)
        assert ("form" in {field.name for field in fields(cls.Config)}) == (name in RELEASED), name
        assert cls.in_form(cls.Config()) is cls, "repaired is the default"
    for name, form in RELEASED.items():
        cls = METHODS.get(name)
        assert cls.in_form(cls.Config(form="released")) is form
        assert form.__bases__ == (cls,)
        assert (form.headline, form.summary, form.Config) == (cls.headline, cls.summary, cls.Config)


def test_the_registry_lists_no_released_form() -> None:
    modules = {METHODS.get(name).__module__ for name in METHODS.names()}
    assert not any("released" in module for module in modules)


@pytest.mark.parametrize("name", RELEASED)
def test_only_the_check_of_settings_names_the_form_in_the_method_itself(name: str) -> None:
    cls = METHODS.get(name)
    read = [node.attr for node in ast.walk(ast.parse(inspect.getsource(cls))) if isinstance(node, ast.Attribute)]
    assert "form" not in read


@pytest.mark.parametrize("form", RELEASED.values())
def test_every_overridden_method_states_its_defect(form: type) -> None:
    own = [value for value in vars(form).values() if inspect.isfunction(value)]
    assert own
    assert all((method.__doc__ or "").startswith(("Defect: ", "No defect: ")) for method in own)


def test_a_method_without_a_released_form_refuses_the_setting() -> None:
    for name in set(METHODS.names()) - set(RELEASED):
        with pytest.raises(UsageError, match=r"unknown setting 'method.form'"):
            load_config(name, "sysu_all", profile="synthetic_sysu", settings={"method.form": "released"})
    with pytest.raises(UsageError, match=r"method\.form"):
        load_config("hil", "sysu_all", profile="synthetic_sysu", settings={"method.form": "official"})


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one folder for all runs, in which equal first stages are trained once."""
    return tmp_path_factory.mktemp("runs")


@pytest.mark.parametrize("name", RELEASED)
def test_a_run_trains_the_form_that_it_names(
    name: str, output: Path, tiny_people: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[str] = []
    own = RELEASED[name].loss

    def loss(self: ReleasedHIL, *arguments: object) -> object:
        began.append(type(self).__name__)
        return own(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(RELEASED[name], "loss", loss)
    run = ["--method", name, "--protocol", "sysu_all", "--data", str(tiny_people["sysu"]), "--output", str(output)]
    assert main([*run, "--no-report", "--set", *QUICK, "method.form=released"]) == 0
    assert set(began) == {RELEASED[name].__name__}
    (path,) = (output / "sysu_all").glob(f"{name}-*/record.json")
    assert read_record(path).result.config["method"]["form"] == "released"
    assert read_record(path).result.method == name


def test_moved_rows_give_the_gradient_and_earlier_ones_the_value() -> None:
    rows, later = (normalize(draws(9, 4, seed=seed), dim=1).requires_grad_() for seed in (0, 3))
    features = (3 * draws(4, 4, seed=1)).requires_grad_()
    values = similarity_by_moved_rows(features, rows, later)
    torch.testing.assert_close(values, normalize(features, dim=1) @ rows.t())
    weights = draws(4, 9, seed=4)
    (values * weights).sum().backward()
    expected = features.detach().clone().requires_grad_()
    (normalize(expected, dim=1) @ later.detach().t() * weights).sum().backward()
    torch.testing.assert_close(features.grad, expected.grad)
    assert rows.grad is None
    assert later.grad is None


def test_a_gradient_by_moved_rows_leaves_the_value_and_the_memory() -> None:
    rows, hard = normalize(draws(2, 5, 6).float(), dim=2)
    features, labels = 3 * draws(14, 6, seed=2).float(), torch.arange(14) % 4
    memory = HardMemory(rows, hard)
    later = deepcopy(memory)
    later.update(features.flip(0), labels)
    found = features.clone().requires_grad_()
    loss = loss_by_moved_rows(memory, found, labels, (features.flip(0), labels))
    loss.backward()
    assert torch.equal(memory.rows, normalize(rows))
    torch.testing.assert_close(loss.detach(), memory.loss(features, labels))
    # the chain rule, with the probabilities of the one memory and the rows of the other
    query = normalize(features)
    expected = torch.zeros_like(query)
    for here, there in ((memory.rows, later.rows), (memory.hard, later.hard)):
        logits = (query @ here.t() / 0.05).requires_grad_()
        (0.5 * cross_entropy(logits, labels)).backward()
        assert logits.grad is not None
        expected += logits.grad @ there / 0.05
    inner = features.clone().requires_grad_()
    normalize(inner).backward(expected)
    torch.testing.assert_close(found.grad, inner.grad, atol=1e-6, rtol=1e-5)


def test_a_sub_class_without_a_released_form_is_refused() -> None:
    class Mine(METHODS.get("hil")):  # type: ignore[misc]
        pass

    assert Mine.in_form(Mine.Config()) is Mine
    with pytest.raises(UsageError, match=r"Mine has no released form; leave method\.form=repaired"):
        Mine.in_form(Mine.Config(form="released"))


def test_a_class_from_outside_with_the_name_of_ours_has_no_released_form() -> None:
    parent = METHODS.get("hil")
    mine = type("HIL", (parent,), {"__module__": "elsewhere.hil"})
    with pytest.raises(UsageError, match="HIL has no released form"):
        mine.in_form(mine.Config(form="released"))
