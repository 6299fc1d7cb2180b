"""Weights in safetensors files; torchvision's and pickled files are tested with the encoder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from usvi_bench.components.encoder.resnet_networks import SmallConfig
from usvi_bench.components.encoder.two_stream import build_encoder
from usvi_bench.components.encoder.weights import load_weights, weights_as_bytes
from usvi_bench.core.errors import UsageError

SMALL = SmallConfig(width=8)


def test_safetensors_round_trip_and_equal_bytes(tmp_path: Path) -> None:
    source, target, path = build_encoder(SMALL, 0), build_encoder(SMALL, 1), tmp_path / "own.safetensors"
    path.write_bytes(weights_as_bytes(source))
    assert load_weights(target, path) == hashlib.sha256(path.read_bytes()).hexdigest()
    expected = source.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in target.state_dict().items())
    assert weights_as_bytes(target) == path.read_bytes()


@pytest.mark.parametrize("cut", [0, 5, 4000, -1])
def test_a_torn_safetensors_file_is_named_and_nothing_is_loaded(tmp_path: Path, cut: int) -> None:
    encoder, path = build_encoder(SMALL, 1), tmp_path / "torn.safetensors"
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    path.write_bytes(weights_as_bytes(build_encoder(SMALL, 0))[:cut])
    with pytest.raises(UsageError, match=r"torn\.safetensors.*not a valid safetensors file"):
        load_weights(encoder, path)
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def test_safetensors_of_another_width_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "wide.safetensors"
    path.write_bytes(weights_as_bytes(build_encoder(SmallConfig(width=16), 0)))
    with pytest.raises(UsageError, match="of another shape"):
        load_weights(build_encoder(SMALL, 0), path)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"encoder": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(UsageError, match="without running code"):
        load_weights(build_encoder(SMALL, 0), tmp_path / "trap.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: value * float("nan"), "holds NaN or infinite values"),
        (lambda value: value + float("inf"), "holds NaN or infinite values"),
        (lambda value: value.int(), r"is torch\.int32, not a floating-point tensor"),
        (lambda value: value.to(torch.complex64), r"is torch\.complex64, not a floating-point tensor"),
        (lambda value: value > 0, r"is torch\.bool, not a floating-point tensor"),
        (lambda value: value.to_sparse(), "is a sparse or empty tensor"),
    ],
)
def test_values_that_are_not_weights_are_refused(change, message: str, tmp_path: Path) -> None:
    encoder = build_encoder(SmallConfig(width=8), 0)
    state = encoder.state_dict()
    torch.save({**state, "visible.conv1.weight": change(state["visible.conv1.weight"])}, tmp_path / "odd.pth")
    with pytest.raises(UsageError, match=rf"odd\.pth': 'visible\.conv1\.weight' {message}"):
        load_weights(encoder, tmp_path / "odd.pth")


def test_a_key_that_is_not_text_is_refused(tmp_path: Path) -> None:
    encoder = build_encoder(SmallConfig(width=8), 0)
    torch.save({**encoder.state_dict(), 3: torch.zeros(1)}, tmp_path / "odd.pth")
    with pytest.raises(UsageError, match="the key 3 is not text"):
        load_weights(encoder, tmp_path / "odd.pth")
