"""Figures of the training benchmark."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import normalize

from usvi_bench.benchmarks import reference_loop, training
from usvi_bench.benchmarks.ceilings import encoder_seconds, matmul_tflops, pass_flops
from usvi_bench.benchmarks.methods import PARENT
from usvi_bench.benchmarks.reference_loop import Pictures, SampleMemory, Size
from usvi_bench.benchmarks.training import HEADER, Watch, compare, speed_cells, warm_seconds
from usvi_bench.components.encoder.resnet_networks import SmallConfig
from usvi_bench.components.encoder.two_stream import build_encoder
from usvi_bench.components.memory.cluster import ClusterMemory
from usvi_bench.datasets.base import ImageTable
from usvi_bench.methods.cluster_contrast import ClusterContrastConfig

CPU = torch.device("cpu")
SMALL = SmallConfig(width=8)


def test_a_pass_costs_what_its_convolutions_cost() -> None:
    forward, both = pass_flops(SMALL, 32, 16)
    stem = 2 * 8 * 3 * 7 * 7 * 16 * 8  # channels out, in, kernel, map: its input needs no gradient
    assert both == 3 * forward - stem
    assert forward > stem


def test_ceilings_are_rates() -> None:
    assert 1e-4 < matmul_tflops(CPU, "fp32") < 100
    assert 0 < encoder_seconds(SMALL, 32, 16, (4, 2), "fp32", CPU, repeats=1) < 60


def test_images_are_counted_by_kind_of_pass() -> None:
    watch, encoder = Watch(), build_encoder(SMALL, 0)
    visible, infrared = torch.zeros(4, 3, 32, 16), torch.zeros(2, 3, 32, 16)
    with watch.counting():
        encoder.train()(visible, infrared)
        with torch.no_grad():
            encoder(visible, None)
            encoder.eval().embed(infrared, "infrared")
    encoder(visible, infrared)
    assert watch.passed == {"learning": 6, "teaching": 4, "embedding": 2}


def test_the_loop_moves_a_memory_as_the_suite_does() -> None:
    generator = torch.Generator().manual_seed(0)
    start, features = (torch.randn(size, 5, generator=generator) for size in (3, 8))
    labels = torch.tensor([0, 2, 0, 0, 2, 0, 2, 2])
    ours, loop = ClusterMemory(start, 0.05, 0.1), SampleMemory(start, ClusterContrastConfig())
    assert torch.allclose(ours.loss(features, labels), loop.loss(features, labels))
    ours.update(features, labels)
    loop.update(features, labels)
    assert torch.allclose(ours.rows, loop.rows, atol=1e-6)
    assert torch.equal(loop.rows[1], normalize(start)[1])


def test_the_loop_opens_and_varies_images_one_by_one(tmp_path: Path) -> None:
    Image.fromarray(np.full((40, 20, 3), (250, 120, 10), np.uint8)).save(tmp_path / "a.png")
    one = np.ones(1, np.int64)
    table = ImageTable("visible", tmp_path, ("a.png",), one, one)
    size = Size(height=32, width=16, pad=4)
    pictures = Pictures(table, (size.plain, size.varied, size.colourless), torch.zeros(6, dtype=torch.int64))
    for plain, varied, colourless, row in (pictures[i] for i in range(6)):
        assert plain.shape == varied.shape == colourless.shape == (3, 32, 16)
        assert torch.allclose(plain, plain[:, :1, :1].expand_as(plain), atol=1e-5)
        assert torch.equal(colourless[0], colourless[2])
        assert int(row) == 0


def test_the_first_epoch_is_not_measured(capsys: pytest.CaptureFixture[str], tiny_people: dict[str, Path]) -> None:
    epochs = [{"seconds": {"embed": e, "cluster": 2 * e, "train": 3 * e}} for e in (100.0, 1.0, 3.0)]
    assert warm_seconds(epochs) == {"embed": 2.0, "cluster": 4.0, "train": 6.0}
    command = [*("--data", "synthetic:size=tiny", "--device", "cpu", "--set", "train.epochs=1")]
    assert training.main(command) == 2, "refused before any training"
    assert "train.epochs=2" in capsys.readouterr().err


def test_the_loop_s_first_epoch_is_not_measured_either(
    tiny_people: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    loops = iter([{"embed": 90.0, "cluster": 90.0, "step": 90.0}, {"embed": 1.0, "cluster": 2.0, "step": 3.0}])
    monkeypatch.setattr(reference_loop, "epoch", lambda *given: dict(next(loops)))
    monkeypatch.setattr(training, "matmul_tflops", lambda *given: 1.0)
    monkeypatch.setattr(training, "encoder_seconds", lambda *given: 0.1)
    options = Namespace(
        data=str(tiny_people["sysu"]),
        device="cpu",
        schedule=None,
        reference=True,
        workers=0,
        set=["train.iterations=2", "method.k1=6", "encoder.width=8"],
    )
    ours = {"epoch_s": {"embed": 1.0, "cluster": 1.0, "train": 1.0}, "step_s": 0.5}
    found = compare({PARENT: ours}, options, Watch())
    assert found["ratios"]["epoch"] == pytest.approx(6.0 / 3.0)
    assert found["ratios"]["step"] == pytest.approx(1.5 / 0.5)


def test_a_row_of_the_table_has_a_cell_a_column() -> None:
    seconds = {"embed": 1.0, "cluster": 1.0, "train": 2.0}
    figures = {"step_s": 0.5, "images_per_s": 64.0, "epoch_s": seconds, "evaluate_s": 1.0}
    (cells,) = speed_cells({"pgm": {**figures, "peak_memory_mib": 100.0, "tflop_per_s": 0.01}})
    assert len(cells) == len(HEADER)
    assert cells[:7] == ["`pgm`", "500", "2.00", "64", "25%", "25%", "50%"]
