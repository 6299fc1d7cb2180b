"""Weights in safetensors files; torchvision's and pickled files are tested with the encoder."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest
import torch

from usvi_bench.components.encoder.resnet_networks import SmallConfig
from usvi_bench.components.encoder.two_stream import build_encoder
from usvi_bench.components.encoder.weights import load_weights, weights_as_bytes
from usvi_bench.core.errors import UsageError
from usvi_bench.core.journal import Mark
from usvi_bench.engine.checkpoint import Checkpoint, save

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


def test_a_format_is_recognised_by_content_and_not_by_name(tmp_path: Path) -> None:
    source = build_encoder(SMALL, 0)
    (tmp_path / "a.pth").write_bytes(weights_as_bytes(source))
    (tmp_path / "b.SAFETENSORS").write_bytes(weights_as_bytes(source))
    torch.save(source.state_dict(), tmp_path / "c.safetensors")
    for path in sorted(tmp_path.iterdir()):
        target = build_encoder(SMALL, 1)
        load_weights(target, path)
        assert all(torch.equal(value, source.state_dict()[key]) for key, value in target.state_dict().items()), path


@pytest.mark.parametrize("names", [("state_dict",), ("model", "state_dict"), ("encoder",)])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_wrapped_weights_are_found(tmp_path: Path, names: tuple[str, ...], prefix: str) -> None:
    source, target = build_encoder(SMALL, 0), build_encoder(SMALL, 1)
    content: object = {prefix + key: value for key, value in source.state_dict().items()}
    for name in reversed(names):
        content = {"epoch": 3, name: content}
    torch.save(content, tmp_path / "w.pth")
    load_weights(target, tmp_path / "w.pth")
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in target.state_dict().items())


def test_another_prefix_is_named(tmp_path: Path) -> None:
    encoder = build_encoder(SMALL, 0)
    torch.save({f"backbone.{key}": value for key, value in encoder.state_dict().items()}, tmp_path / "w.pth")
    with pytest.raises(UsageError, match=r"all names begin with 'backbone\.': save the weights without it"):
        load_weights(encoder, tmp_path / "w.pth")


def test_a_checkpoint_is_named_with_its_fold(tmp_path: Path) -> None:
    encoder = build_encoder(SMALL, 0)
    state = {"student": encoder.state_dict()}
    path = save(tmp_path, Checkpoint("key", "pgm", 7, "data", 1, Mark(0, ""), state))
    with pytest.raises(UsageError, match=r"checkpoint of a training on fold 7; .*content\['models'\]\['student'\]"):
        load_weights(encoder, path)
    torch.save(torch.load(path)["models"]["student"], tmp_path / "own.pth")
    load_weights(build_encoder(SMALL, 1), tmp_path / "own.pth")


def test_a_compressed_archive_is_refused_before_it_is_expanded(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", bytes(10_000_000))
    with pytest.raises(UsageError, match=r"a compressed archive of 10000000 bytes; save the weights with torch\.save"):
        load_weights(build_encoder(SMALL, 0), tmp_path / "bomb.pth")


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("conv1.weight", lambda value: torch.zeros(1).expand(10**12), "repeats a few numbers 1000000000000 times"),
        ("conv1.weight", lambda value: value.to(torch.float8_e4m3fn), "is torch.float8_e4m3fn, not a floating-point"),
        ("conv1.weight", lambda value: value.double() * 1e300, "holds NaN or infinite values"),
        ("conv1.weight", lambda value: torch.nested.nested_tensor([value[0], value[1, :1]]), "sparse or empty"),
        ("bn1.running_var", lambda value: value - 5, "holds negative variances"),
        ("bn1.num_batches_tracked", lambda value: value.to(torch.complex64), "is torch.complex64, not"),
    ],
)
def test_tensors_that_would_become_other_weights_are_refused(tmp_path: Path, key: str, change, message: str) -> None:
    encoder = build_encoder(SMALL, 0)
    state = encoder.state_dict()
    torch.save({**state, f"visible.{key}": change(state[f"visible.{key}"])}, tmp_path / "odd.pth")
    with pytest.raises(UsageError, match=message):
        load_weights(encoder, tmp_path / "odd.pth")


def test_weights_that_are_all_zero_are_refused(tmp_path: Path) -> None:
    state = build_encoder(SMALL, 0).state_dict()
    torch.save({key: torch.zeros_like(value) for key, value in state.items()}, tmp_path / "zero.pth")
    with pytest.raises(UsageError, match=r"zero\.pth': all weights are zero"):
        load_weights(build_encoder(SMALL, 0), tmp_path / "zero.pth")


def test_a_device_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "w.pth").symlink_to("/dev/zero")
    with pytest.raises(UsageError, match=r"w\.pth': no such file"):
        load_weights(build_encoder(SMALL, 0), tmp_path / "w.pth")
