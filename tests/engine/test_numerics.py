"""Numerics of a run: what its record has, and switches that are refused before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from usvi_bench.components.encoder.network import EmbeddingNetwork
from usvi_bench.components.encoder.resnet_networks import SmallConfig, TwoStreamResNet
from usvi_bench.components.encoder.two_stream import build_encoder
from usvi_bench.core import environment
from usvi_bench.core.errors import UsageError
from usvi_bench.engine.experiment import Experiment
from usvi_bench.engine.load_config import load_config
from usvi_bench.engine.numerics import check_numerics, missing_compiler, numerics

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def config(**settings: Any) -> Any:
    return load_config("cluster_contrast", "sysu_all", profile="synthetic_sysu", settings=settings)


def test_the_former_name_of_the_precision_is_still_read() -> None:
    assert config(**{"train.amp": "off"}) == config() == config(**{"train.precision": "fp32"})
    assert config(**{"train.amp": "bf16"}).train.precision == "bf16"
    assert config().hash("random") == config(**{"train.amp": "off"}).hash("random")
    assert config(**{"train.precision": "tf32"}).hash("random") != config().hash("random")
    with pytest.raises(UsageError, match=r"train\.precision=half: choose one of fp32, tf32, bf16, fp16"):
        config(**{"train.precision": "half"})
    with pytest.raises(UsageError, match=r"train\.amp is the earlier name of train\.precision; give one of them"):
        config(**{"train.precision": "fp32", "train.amp": "bf16"})


def test_a_record_has_what_was_used() -> None:
    wanted = {"precision": "tf32", "tf32": True, "channels_last": True, "fused": True, "compile": False}
    assert numerics(config(**{"train.precision": "tf32"}), CUDA) == wanted
    compiled = numerics(config(**{"engine.compile": True, "encoder.name": "vit_s16"}), CPU)
    assert compiled == {"precision": "fp32", "tf32": False, "channels_last": False, "fused": False, "compile": True}


def test_a_processor_has_no_tf32(tmp_path: Path) -> None:
    settings = {"train.precision": "tf32"}
    experiment = Experiment("cluster_contrast", "sysu_all", "synthetic:size=tiny", settings=settings, device="cpu")
    with pytest.raises(UsageError, match=r"tf32 needs a GPU.*use train\.precision=fp32"):
        experiment.prepare()


@pytest.mark.parametrize(("precision", "other"), [("tf32", "fp32"), ("bf16", "fp16 or fp32")])
def test_older_gpus_are_refused(precision: str, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = config(**{"train.precision": precision})
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    check_numerics(asked, CUDA)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    with pytest.raises(UsageError, match=rf"8\.0 or later, and this GPU has 7\.5; use train\.precision={other}"):
        check_numerics(asked, CUDA)
    check_numerics(config(**{"train.precision": "fp16"}), CUDA)


def test_compilation_needs_a_compiler_and_something_to_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = config(**{"engine.compile": True})
    monkeypatch.setenv("CXX", "/nowhere/g++")
    assert missing_compiler(CPU) == "a C++ compiler (g++)"
    with pytest.raises(UsageError, match=r"engine\.compile=true needs a C\+\+ compiler \(g\+\+\); install it"):
        check_numerics(asked, CPU)
    monkeypatch.setattr(TwoStreamResNet, "compile_shared", EmbeddingNetwork.compile_shared)
    with pytest.raises(UsageError, match="the encoder 'small' has no part to compile"):
        check_numerics(asked, CPU)


def test_a_compiled_trunk_computes_as_an_eager_one() -> None:
    eager, compiled = (build_encoder(SmallConfig(width=8), seed=0) for _ in range(2))
    compiled.network.trunk.compile(backend="aot_eager")
    visible, infrared = torch.randn(2, 4, 3, 32, 16, generator=torch.Generator().manual_seed(0))
    for encoder in (eager, compiled):
        encoder(visible, infrared).square().mean().backward()
    for (name, one), other in zip(eager.named_parameters(), compiled.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, msg=lambda text, name=name: f"{name}: {text}")
    for one, other in zip(eager.state_dict().values(), compiled.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other)
    assert list(eager.state_dict()) == list(compiled.state_dict())


def test_the_driver_is_read_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "version"
    monkeypatch.setattr(environment, "_DRIVER", file)
    assert "driver" not in environment.gpu_versions()
    for line, version in {
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023": "535.104.05",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  560.35.03  Release Build": "560.35.03",
    }.items():
        file.write_text(f"{line}\nGCC version:  gcc\n")
        assert environment.gpu_versions()["driver"] == version
