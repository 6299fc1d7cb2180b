"""``--weights imagenet``: the public file of an encoder in the caches of torch hub and timm."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from usvi_bench.cli.main import main
from usvi_bench.components.encoder.public_file import PublicFile
from usvi_bench.components.encoder.resnet_networks import ResNet50, Small
from usvi_bench.components.encoder.vit import ViTBase, ViTSmall
from usvi_bench.core.errors import UsageError
from usvi_bench.engine.imagenet import TRY, find_imagenet
from usvi_bench.engine.start_weights import SHIPPED, locate_weights

WEIGHTS = SHIPPED / "small16.safetensors"
DIGITS = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()[:8]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set an empty home folder, and a public file of ``small`` with the shipped weights."""
    for name in ("TORCH_HOME", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(Small, "public_file", PublicFile(f"https://example.org/small-{DIGITS}.pth", timm="small.in1k"))
    return tmp_path


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    shutil.copy(WEIGHTS, path)
    return path


@pytest.mark.parametrize("network", [ResNet50, ViTSmall, ViTBase])
def test_without_the_file_the_message_states_what_to_fetch_and_where_to_put_it(
    network: type[ResNet50], home: Path
) -> None:
    assert network.public_file is not None
    with pytest.raises(UsageError) as found:
        find_imagenet({ResNet50: "resnet50", ViTSmall: "vit_s16", ViTBase: "vit_b16"}[network])  # type: ignore[index]
    assert network.public_file.url in str(found.value)
    assert f"or start from --weights random; {TRY}" in str(found.value)
    assert str(home / ".cache/torch/hub/checkpoints") in str(found.value)
    assert str(found.value).startswith("--weights imagenet: ")


@pytest.mark.parametrize(
    ("variable", "folder"),
    [
        ("", ".cache/torch/hub/checkpoints"),
        ("TORCH_HOME", "mine/hub/checkpoints"),
        ("XDG_CACHE_HOME", "mine/torch/hub/checkpoints"),
    ],
)
def test_the_file_of_torch_hub_is_found(
    variable: str, folder: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable:
        monkeypatch.setenv(variable, "~/mine")
    path = put(home / folder / f"small-{DIGITS}.pth")
    assert find_imagenet("small") == path
    path.write_bytes(b"damaged")
    with pytest.raises(UsageError, match=f"not {DIGITS}: the file is damaged; delete it and fetch https://example.org"):
        find_imagenet("small")


def test_a_run_starts_from_the_copy_of_timm_and_names_it(
    home: Path, tiny_people: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = put(home / ".cache/huggingface/hub/models--timm--small.in1k/snapshots/0/model.safetensors")
    words = ["--method", "untrained", "--protocol", "sysu_all", "--data", str(tiny_people["sysu"]), "--dry-run"]
    assert main([*words, "--weights", "imagenet", "--output", "~/runs"]) == 0
    out = capsys.readouterr().out
    assert f"starting weights: model.safetensors (timm's copy, {path}; the leaderboard refuses" in out
    assert str(home / "runs") in out


def test_an_encoder_without_a_public_file_and_mistyped_words(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    shutil.copy(WEIGHTS, home / "own.pth")
    assert locate_weights("~/own.pth", "small") == home / "own.pth"
    with pytest.raises(UsageError, match="--weights imagnet: no such file; did you mean imagenet"):
        locate_weights("imagnet", "small")
    with pytest.raises(UsageError, match=r"--weights ~/absent\.pth: no such file; give the path of"):
        locate_weights("~/absent.pth", "small")
    monkeypatch.setattr(Small, "public_file", None)
    with pytest.raises(UsageError, match="no public ImageNet weights of the encoder 'small' are known"):
        locate_weights("imagenet", "small")


def test_the_options_for_a_try_are_those_of_a_run_on_real_images(
    tmp_path: Path, tiny_people: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    real = tmp_path / "SYSU-MM01"
    shutil.copytree(tiny_people["sysu"], real, ignore=shutil.ignore_patterns("synthetic.json"))
    words = ["--method", "cluster_contrast", "--protocol", "sysu_all", "--data", str(real), "--dry-run"]
    words += ["--output", str(tmp_path / "runs"), "--set", "data.check_counts=false"]
    assert main(words) == 2
    assert TRY in capsys.readouterr().err
    assert main([*words, *TRY.partition(": ")[2].split()]) == 0
    assert "starting weights: small16.safetensors" in capsys.readouterr().out
