"""Export to ONNX: features equal to those of the model, for any batch; damaged and hostile files are refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import usvi_bench
from tests.engine.external import SIZE, small_weights
from usvi_bench.components.encoder.network import EncoderConfig
from usvi_bench.components.encoder.two_stream import build_encoder
from usvi_bench.components.encoder.vit import VisionTransformer
from usvi_bench.core.errors import UsageError
from usvi_bench.core.registry import ENCODERS
from usvi_bench.engine import export as exporting
from usvi_bench.engine import onnx_model
from usvi_bench.engine.embedder import describe
from usvi_bench.engine.embedding_model import EmbeddingModel, open_model
from usvi_bench.engine.images import retrieval_features
from usvi_bench.engine.onnx_model import OnnxEmbedder
from usvi_bench.engine.open_embedder import ModelRequest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Weights, and the folder of their exported files."""
    folder = tmp_path_factory.mktemp("export")
    weights = small_weights(folder)
    size = {name: value for name, value in SIZE.items() if name.startswith("data.")}
    usvi_bench.export(weights, folder / "onnx", settings=size, verbose=False)
    return weights, folder / "onnx"


def test_exported_files_give_the_features_of_the_model(made: tuple[Path, Path]) -> None:
    weights, folder = made
    assert {path.name for path in folder.iterdir()} == {"about.json", "infrared.onnx", "visible.onnx"}
    model = open_model(weights, settings={"data": {"height": 32, "width": 16}})
    embedder = OnnxEmbedder(folder, 1)
    assert embedder.about == describe(model)
    rng = np.random.default_rng(3)
    found = {}
    for modality in ("visible", "infrared"):
        for batch in (1, 2, 5, 67):
            pixels = rng.integers(0, 256, (batch, 32, 16, 3), dtype=np.uint8)
            pixels[0] = 0  # pooled values of 0 show whether the exporter kept the 1e-12 of the generalised mean
            expected = retrieval_features(
                model.encoder, pixels, modality, 64, torch.device("cpu"), mirror=True, order=None
            )
            found[modality] = embedder.embed(pixels, modality)
            assert np.abs(found[modality] - expected).max() < 2e-6
    assert np.abs(found["visible"] - found["infrared"]).max() > 1e-3, "the first layers differ"


def test_the_file_takes_pictures_and_gives_unit_features_without_this_suite(made: tuple[Path, Path]) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession((made[1] / "visible.onnx").read_bytes())
    (given,), (out,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == ("images", "tensor(uint8)", ["batch", 32, 16, 3])
    assert (out.name, out.type) == ("features", "tensor(float)")
    (features,) = session.run(None, {"images": np.full((3, 32, 16, 3), 200, np.uint8)})
    assert np.abs(np.linalg.norm(features, axis=1) - 1).max() < 1e-5
    model = onnx.load(made[1] / "visible.onnx")
    assert not any(name.name.startswith("encoder.network.infrared") for name in model.graph.initializer)


def test_search_and_embed_accept_an_exported_model(
    made: tuple[Path, Path], tiny_people: dict[str, Path], tmp_path: Path
) -> None:
    weights, folder = made
    data = next((tiny_people["sysu"] / "cam1").iterdir())
    options: dict[str, Any] = {"modality": "visible", "verbose": False}
    mine = usvi_bench.embed(data, weights, tmp_path / "a.npz", settings=SIZE, device="cpu", **options)
    theirs = usvi_bench.embed(data, folder, tmp_path / "b.npz", **options)
    assert np.abs(mine.features - theirs.features).max() < 2e-6
    assert mine.about == theirs.about
    found = usvi_bench.search(data / mine.paths[0], tmp_path / "a.npz", folder / "visible.onnx", top=1, **options)
    assert found.gallery.paths[found.rows[0, 0]] == mine.paths[0]
    with pytest.raises(UsageError, match="no settings"):
        usvi_bench.embed(data, folder, tmp_path / "c.npz", settings=SIZE, **options)


class TinyViT(VisionTransformer):
    """Two blocks of the geometry of ``vit_s16``."""

    dim, depth, heads = 24, 2, 3


def test_an_exported_vision_transformer_gives_the_features_of_the_model(outside: Path) -> None:
    ENCODERS.register("tiny_vit")(TinyViT)
    config, generator = EncoderConfig("tiny_vit"), torch.Generator().manual_seed(1)
    encoder = build_encoder(config, 0, 32, 48).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():  # no term is hidden by a zero
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    model = EmbeddingModel(encoder, config, 32, 48, "tiny.pth", "0" * 64, "plain", None, "unknown")
    content = exporting.to_onnx(model, "visible")
    assert exporting.largest_difference(model, "visible", content) < 1e-5
    for name in ("network.pos_embed", "network.blocks.1.attn.qkv.weight", "network.visible.proj.weight"):
        changed = deepcopy(encoder)
        changed.get_parameter(name).data *= 1.1
        assert exporting.largest_difference(replace(model, encoder=changed), "visible", content) > 1e-4


def test_other_features_are_refused_and_nothing_stays(
    made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "MEAN", (0.5, 0.5, 0.5))
    with pytest.raises(UsageError, match=r"visible.onnx gives other features"):
        usvi_bench.export(made[0], tmp_path / "out", settings={"data.height": 32, "data.width": 16}, verbose=False)
    assert not (tmp_path / "out").exists()


def test_a_missing_extra_is_named(made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> Any:
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr(onnx_model, "import_module", fail)
    for act in (lambda: usvi_bench.export(made[0], tmp_path / "out"), lambda: OnnxEmbedder(made[1], 1)):
        with pytest.raises(UsageError, match=r'pip install "\.\[export\]"'):
            act()


def _about(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        about = json.loads((folder / "about.json").read_text())
        (folder / "about.json").write_text(json.dumps(change(about)))

    return act


def _graph(change: Callable[[Any], None]) -> Callable[[Path], None]:
    """Change the graph, and state the hash of the changed file, as an attacker would."""

    def act(folder: Path) -> None:

        model = onnx.load(folder / "visible.onnx")
        change(model)
        content = model.SerializeToString()
        (folder / "visible.onnx").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        _about(lambda about: {**about, "files": {**about["files"], "visible.onnx": digest}})(folder)

    return act


def _outside(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../../etc/passwd"


def _loop(model: Any) -> None:
    model.graph.node[0].op_type = "Loop"


def _library(model: Any) -> None:
    model.graph.node[0].domain = "com.example"


def _renamed(model: Any) -> None:
    model.graph.output[0].name = model.graph.node[-1].output[0] = "other"


def _scaled(model: Any) -> None:
    model.graph.node[-1].input[1] = model.graph.node[-1].input[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "about.json").unlink(), "cannot be read"),
        (lambda folder: (folder / "visible.onnx").unlink(), "no such file"),
        (lambda folder: (folder / "visible.onnx").write_bytes(b"x"), "is not the file that about.json"),
        (lambda folder: shutil.copy(folder / "infrared.onnx", folder / "visible.onnx"), "is not the file"),
        (_about(lambda about: []), "expected a JSON object"),
        (_about(lambda about: {**about, "files": 3}), "files: expected"),
        (_about(lambda about: {**about, "height": -1}), "data.height=-1"),
        (_about(lambda about: {**about, "height": 64}), "not that of an exported model"),
        (_about(lambda about: {**about, "filter": "box"}), "unknown filter"),
        (_about(lambda about: {**about, "extra": 1}), "unknown entry"),
        (_about(lambda about: {k: v for k, v in about.items() if k != "weights_sha256"}), "is missing"),
        (_graph(_outside), "weights are in another file"),
        (_graph(_loop), "the operation Loop"),
        (_graph(_library), "it has the operation"),
        (_graph(_renamed), "not that of an exported model"),
        (_graph(_scaled), "not of length 1"),
        (_graph(lambda model: model.graph.ClearField("node")), "not a usable ONNX file"),
    ],
)
def test_damaged_and_hostile_files_are_refused(
    made: tuple[Path, Path], tiny_people: dict[str, Path], tmp_path: Path, change: Callable[[Path], Any], message: str
) -> None:
    folder = shutil.copytree(made[1], tmp_path / "onnx")
    change(folder)
    data = next((tiny_people["sysu"] / "cam1").iterdir())
    with pytest.raises(UsageError, match=message):
        usvi_bench.embed(data, folder / "visible.onnx", tmp_path / "f.npz", modality="visible", verbose=False)
    assert not (tmp_path / "f.npz").exists()


def test_the_output_is_a_new_folder(made: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match="not empty"):
        exporting.ExportRequest(ModelRequest(made[0]), made[1])
