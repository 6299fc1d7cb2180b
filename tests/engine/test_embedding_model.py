"""Models to embed with: files as the released repositories write them, files of the suite, folders of runs."""

from __future__ import annotations

import hashlib
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.released_network import State, embed, released_file, released_state
from usvi_bench.components.encoder.registered import encoder_config
from usvi_bench.components.encoder.resnet_networks import SmallConfig
from usvi_bench.components.encoder.two_stream import build_encoder
from usvi_bench.components.encoder.weights import weights_as_bytes
from usvi_bench.core.errors import UsageError
from usvi_bench.core.journal import Mark
from usvi_bench.engine.checkpoint import Checkpoint, save
from usvi_bench.engine.embedding_model import SMALL_SIZE, EmbeddingModel, open_model
from usvi_bench.engine.start_weights import SHIPPED

SIZE = {"data": {"height": 32, "width": 16}}


@pytest.fixture(scope="module")
def states() -> dict[bool, State]:
    return {non_local: released_state(int(non_local), non_local) for non_local in (False, True)}


def images(seed: int = 0) -> torch.Tensor:
    return torch.randn(3, 3, 32, 16, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def opened(states: dict[bool, State], tmp_path_factory: pytest.TempPathFactory) -> dict[bool, EmbeddingModel]:
    """Files as ADCA and PCLHD write them, opened."""
    found = {}
    for non_local, claims in ((False, "ADCA @8d0a8cb"), (True, "PCLHD")):
        path = tmp_path_factory.mktemp("released") / "model_best.pth.tar"
        torch.save(released_file(states[non_local]), path)
        found[non_local] = open_model(path, settings=SIZE, claims=claims)
        assert found[non_local].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        path.unlink()
    return found


@pytest.mark.parametrize(("non_local", "tensors", "network"), [(False, 960, "student"), (True, 1025, "teacher")])
def test_a_released_file_gives_the_features_of_the_released_network(
    states: dict[bool, State], opened: dict[bool, EmbeddingModel], non_local: bool, tensors: int, network: str
) -> None:
    state, model = states[non_local], opened[non_local]
    assert len(state) == tensors
    assert (model.source, model.container, model.key_map) == ("model_best.pth.tar", "state_dict", "two-stream-1")
    assert model.config == encoder_config("resnet50", non_local=non_local)
    assert (model.height, model.width, model.network, model.fold, model.data) == (32, 16, network, None, None)
    assert not model.encoder.training
    with torch.no_grad():
        for modality in ("visible", "infrared"):
            found = model.encoder.embed(images(), modality)
            expected = embed(state, images(), modality, mirror=False)
            assert float((found - expected).abs().max()) < 1e-6
            assert float((found - found.mean(0)).abs().max()) > 1e-3, "all images have one feature"
            without = {name: value for name, value in state.items() if not name.startswith("NL")}
            difference = (expected - embed(without, images(), modality, mirror=False)).abs().max()
            assert (float(difference) > 1e-3) == non_local, "the non-local blocks have no effect"


def test_every_tensor_that_the_test_uses_is_mapped_once(
    states: dict[bool, State], opened: dict[bool, EmbeddingModel]
) -> None:
    """The map by hand: released names to ours, in the other direction than that of the suite."""
    by_hand = [
        (r"^visible_module\.visible\.(conv1|bn1)\.", r"visible.\1."),
        (r"^thermal_module\.thermal\.(conv1|bn1)\.", r"infrared.\1."),
        (r"^base_resnet\.base\.(layer\d)", r"trunk.\1"),
        (r"^NL_2\.0\.", "trunk.non_local.layer2_2."),
        (r"^NL_2\.1\.", "trunk.non_local.layer2_3."),
        (r"^NL_3\.0\.", "trunk.non_local.layer3_3."),
        (r"^NL_3\.1\.", "trunk.non_local.layer3_4."),
        (r"^NL_3\.2\.", "trunk.non_local.layer3_5."),
        (r"^bottleneck\.", "neck."),
    ]
    inner = [(r"\.g\.0\.", ".g."), (r"\.W\.0\.", ".out."), (r"\.W\.1\.", ".bn.")]
    ours = opened[True].encoder.state_dict()
    found = set()
    for name, value in states[True].items():
        new = next((re.sub(old, new, name) for old, new in by_hand if re.search(old, name)), None)
        if new is None:
            continue
        for old, replaced in inner if "non_local" in new else ():
            new = re.sub(old, replaced, new)
        assert torch.equal(ours[new], value), name
        found.add(new)
    assert found == ours.keys()
    assert len(found) == 394


def test_mmms_second_container_is_read(tmp_path: Path) -> None:
    """``net`` without a prefix, a second neck, an array of NumPy, numbers of NumPy and the state of an optimiser."""
    state = released_state(1, non_local=True, second_neck=True)
    state["classifier.weight"] = torch.zeros(3, 2048)
    weight = torch.nn.Parameter(torch.ones(2))
    optimiser = torch.optim.Adam([weight])
    weight.sum().backward()
    optimiser.step()
    scores = {"cmc": np.linspace(0, 1, 20, dtype=np.float32), "mAP": np.float64(0.5), "mINP": np.float32(0.4)}
    torch.save({"net": state, **scores, "epoch": 3, "optimizer": optimiser.state_dict()}, tmp_path / "mmm.t")
    model = open_model(tmp_path / "mmm.t", settings=SIZE, claims="MMM @7e57d50")
    assert (model.container, model.network) == ("net", "student")
    with torch.no_grad():
        expected = embed(state, images(), "infrared", mirror=False)
        assert float((model.encoder.embed(images(), "infrared") - expected).abs().max()) < 1e-6


def test_a_file_of_numpy_1_is_read(tmp_path: Path) -> None:
    """Its pickle has the module ``numpy.core``."""
    torch.save(
        {"state_dict": build_encoder(SmallConfig(width=8), 0).state_dict(), "mAP": np.float64(1)}, tmp_path / "new"
    )
    content = (tmp_path / "new").read_bytes()
    assert b"numpy._core.multiarray" in content
    with zipfile.ZipFile(tmp_path / "new") as source, zipfile.ZipFile(tmp_path / "old", "w") as target:
        for entry in source.infolist():
            raw = source.read(entry)
            target.writestr(entry.filename, raw.replace(b"cnumpy._core.multiarray", b"cnumpy.core.multiarray"))
    model = open_model(tmp_path / "old")
    assert (model.config, model.container) == (SmallConfig(width=8), "state_dict")


@pytest.mark.parametrize("how", ["plain", "safetensors", "encoder", "module."])
def test_weights_of_the_suite_name_their_encoder(tmp_path: Path, how: str) -> None:
    config = SmallConfig(width=24, non_local=True)
    source, path = build_encoder(config, 3), tmp_path / "own"
    state = source.state_dict()
    if how == "safetensors":
        path.write_bytes(weights_as_bytes(source))
    else:
        prefixed = {f"module.{name}": value for name, value in state.items()}
        torch.save({"plain": state, "encoder": {"encoder": state}, "module.": prefixed}[how], path)
    model = open_model(path, network="student")
    assert (model.config, model.height, model.width) == (config, 128, 64)
    assert model.container == {"module.": "plain"}.get(how, how)
    assert (model.key_map, model.network) == (None, "student")
    assert all(torch.equal(value, state[name]) for name, value in model.encoder.state_dict().items())
    assert "width" not in model.description
    assert "128x64" in model.description


def checkpoint(folder: Path, **changes: Any) -> Path:
    models = {
        name: build_encoder(SmallConfig(width=8), i).state_dict() for i, name in enumerate(("student", "teacher"))
    }
    given = {"key": "abc", "method": "pclhd", "fold": 3, "data": "print", "epochs": 1, "journal": Mark(0, "")}
    return save(folder, Checkpoint(**{**given, "models": models, **changes}))


def test_a_checkpoint_of_a_training_states_its_fold_and_its_data(tmp_path: Path) -> None:
    path = checkpoint(tmp_path)
    for network, seed in ((None, 0), ("student", 0), ("teacher", 1)):
        model = open_model(path, network=network)
        assert (model.container, model.network, model.fold) == ("training", network or "student", 3)
        assert (model.data, model.training) == ("print", "abc")
        expected = build_encoder(SmallConfig(width=8), seed).state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in model.encoder.state_dict().items())
    with pytest.raises(UsageError, match="trained on fold 3, not 1"):
        open_model(path, fold=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": {}}, "has no network ''"),
        ({"models": {"teacher": 3}}, "not a checkpoint as this suite writes it"),
        ({"models": {"student": {"a": 3}}}, "holds no weights of 'student'"),
        ({"fold": "1"}, "not a checkpoint as this suite writes it"),
        ({"data": 3}, "not a checkpoint as this suite writes it"),
    ],
)
def test_checkpoints_of_other_content_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_model(checkpoint(tmp_path, **changes))


def test_names_that_do_not_fit_are_counted_with_the_nearest_container(
    tmp_path: Path, states: dict[bool, State]
) -> None:
    state = dict(states[True])
    for name in ("bottleneck.weight", "NL_3.1.g.0.bias"):
        del state[name]
    state |= {"extra": torch.zeros(1)}
    torch.save(released_file(state), tmp_path / "w.pth")
    with pytest.raises(
        UsageError, match=r"2 missing \(NL_3\.1\.g\.0\.bias, bottleneck\.weight\.\.\.\); 1 unexpected"
    ) as error:
        open_model(tmp_path / "w.pth", settings=SIZE)
    assert (
        "the nearest known container is a release of PGM or PCLHD or RPNR (1,025 tensors; the file has 1,024)"
        in str(error.value)
    )


def test_a_tensor_of_another_shape_is_named(tmp_path: Path, states: dict[bool, State]) -> None:
    wrong = {**states[False], "bottleneck.weight": torch.ones(2047)}
    torch.save(released_file(wrong), tmp_path / "w.pth")
    with pytest.raises(UsageError, match=r"1 of another shape \(neck\.weight"):
        open_model(tmp_path / "w.pth", settings=SIZE)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("features.0.weight", "fc.bias"),
            r"of no encoder of this suite: 2 unexpected \(fc\.bias, features\.0\.weight",
        ),
        (("base.cls_token", "b1.0.norm1.weight", "bottlenecks.weight"), "the release of HIL, a ViT with two stems"),
    ],
)
def test_another_architecture_is_named(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    torch.save({"state_dict": {name: torch.ones(3) for name in names}}, tmp_path / "w.pth")
    with pytest.raises(UsageError, match=message):
        open_model(tmp_path / "w.pth")


def test_contradictions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(build_encoder(SmallConfig(width=8), 0).state_dict(), path)
    for encoder, message in (
        ({"non_local": True}, r"encoder\.non_local=True: the weights .* are of encoder\.non_local=False"),
        ({"name": "resnet50"}, r"encoder\.name=resnet50: the weights .* are of small"),
        ({"name": "mine"}, "unknown encoder 'mine'"),
        ({"widht": 3}, r"unknown setting 'encoder\.widht'"),
    ):
        with pytest.raises(UsageError, match=message):
            open_model(path, settings={"encoder": encoder})
    with pytest.raises(UsageError, match="unknown network 'teachr': did you mean teacher"):
        open_model(path, network="teachr")
    torch.save({"visible_module.x": torch.ones(2, 2)}, path)
    with pytest.raises(UsageError, match="has no non-local blocks, but the release of PGM has them"):
        open_model(path, claims="PGM, found on a disk")


def test_folders_that_are_no_run_are_explained(tmp_path: Path) -> None:
    for name in ("pgm-seed0-1", "pgm-seed1-2"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "record.json").write_text("{}")
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx/about.json").write_text("{}")
    for folder, remedy in (
        ("runs", "give one of the runs in it: pgm-seed0-1, pgm-seed1-2"),
        ("onnx", "it is an exported model, for 'embed' and 'search' only"),
        (".", "give the folder of a finished run, a weight file, or a folder that 'export' wrote"),
    ):
        with pytest.raises(UsageError, match=rf"not the folder of a finished run \(it has no record.json\); {remedy}"):
            open_model(tmp_path / folder)


def test_shipped_weights_are_opened_by_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = open_model(Path("small16"))
    assert (model.source, model.config.name, model.network) == ("small16.safetensors", "small", "unknown")
    assert (model.height, model.width) == SMALL_SIZE
    assert model.sha256 == open_model(SHIPPED / "small16.safetensors").sha256
    for other in ("small17", "../small16", str(SHIPPED / "small16")):
        with pytest.raises(UsageError):
            open_model(Path(other))
    (tmp_path / "small16").write_bytes(b"a file of the user")
    with pytest.raises(UsageError):
        open_model(Path("small16"))


@pytest.mark.parametrize(("name", "hint"), [("smal16", "did you mean small16"), ("runs/x", "give the folder of a run")])
def test_a_model_that_is_not_there_is_refused_with_what_may_be_given(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=rf"weights '{name}': no such file; {hint}") as refused:
        open_model(Path(name))
    assert "'small16'" in str(refused.value)
