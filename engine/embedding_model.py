"""Model to embed images with: a network and the settings of its images, from a weight file or the folder of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import Tensor

from usvi_bench.components.encoder.known_containers import nearest_container
from usvi_bench.components.encoder.network import EncoderConfig
from usvi_bench.components.encoder.registered import check_network, network_class
from usvi_bench.components.encoder.released import KEY_MAP, RELEASES, Release, has_non_local, is_released
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder, build_encoder
from usvi_bench.components.encoder.weight_file import WeightFile, check_values, read_weight_file, unpack
from usvi_bench.components.encoder.weights import load_state
from usvi_bench.core.errors import UsageError, closest, did_you_mean, printable, show
from usvi_bench.core.external import NETWORKS
from usvi_bench.core.paths import is_absent, is_file, is_folder
from usvi_bench.core.record import Record, read_record
from usvi_bench.core.registry import ENCODERS
from usvi_bench.datasets.grey_depth import EACH_IMAGE
from usvi_bench.engine import checkpoint as checkpoints
from usvi_bench.engine.config import DataConfig
from usvi_bench.engine.load_config import build
from usvi_bench.engine.start_weights import SHIPPED, shipped_or_own

TRAINING = "training"
"""Container of a checkpoint of this suite."""
SMALL_SIZE = (128, 64)
"""Height and width of images for ``small``; the other encoders have those of :class:`DataConfig`."""
_VIT_DIMS = {384: "vit_s16", 768: "vit_b16"}
_Settings = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class EmbeddingModel:
    """Embedding model: a network with its weights, and how its images are prepared.

    Attributes:
        encoder: network in evaluation mode, on the CPU.
        config: settings of the network.
        height: height of its images in pixels.
        width: width of its images in pixels.
        source: name of the file, without folders.
        sha256: hash of the file.
        container: how the file holds the weights.
        key_map: name of the map from the names of a release to ours; None if the names are ours.
        network: ``student``, ``teacher`` or ``unknown``.
        fold: fold that it was trained on; None if the file does not state it.
        data: fingerprint of the data that it was trained on; None if the file does not state it.
        training: key of the last stage of the training; None if the file does not state it.
        depth_range: grey values of more than 8 bits that become black and white (``data.depth_range``).
    """

    encoder: TwoStreamEncoder
    config: EncoderConfig
    height: int
    width: int
    source: str
    sha256: str
    container: str
    key_map: str | None
    network: str
    fold: int | None = None
    data: str | None = None
    training: str | None = None
    depth_range: str = EACH_IMAGE

    @property
    def description(self) -> str:
        """Sentence about the file, the network and the size of the images."""
        blocks = getattr(self.config, "non_local", None)
        extra = "" if blocks is None else f" {'with' if blocks else 'without'} non-local blocks"
        names = " by the names of a release" if self.key_map else ""
        parts = [self.network] if self.network != "unknown" else []
        parts += [] if self.fold is None else [f"fold {self.fold}"]
        origin = f" ({', '.join(parts)})" if parts else ""
        return (
            f"{self.source}: weights of {self.config.name}{extra}{names}{origin}, "
            f"for images of {self.height}x{self.width}"
        )


def _models(name: str) -> str:
    shipped = [path.stem for path in SHIPPED.glob("*.safetensors")]
    close = closest(name, shipped) if "." not in name else []
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return f"{hint}give the folder of a run, a file of weights (.pt, .pth or .safetensors), or 'small16'"


def open_model(
    path: Path,
    *,
    settings: _Settings = MappingProxyType({}),
    network: str | None = None,
    fold: int | None = None,
    claims: str | None = None,
) -> EmbeddingModel:
    """Open a model from a weight file, a checkpoint of a training, or the folder of a finished run.

    The encoder follows from the names of the tensors for ResNets and ViTs of the suite and for known releases, and from
    the record for the folder of a run. Other encoders are named in ``settings``.

    Args:
        path: file or folder, or the name of shipped weights: ``small16``.
        settings: ``encoder.*``, ``data.height``, ``data.width`` and ``data.depth_range``, nested:
            ``{"encoder": {"name": "small"}}``.
        network: ``student``, ``teacher`` or ``unknown``. By default, the headline of a run, the network that the named
            release keeps, or ``student`` for a checkpoint of a training that has one.
        fold: fold of a run with several.
        claims: whose model it is; a known release in the first word is compared with the file.

    Raises:
        UsageError: the file cannot be read, does not fit an encoder, or contradicts an argument.
    """
    if network is not None and network not in NETWORKS:
        raise UsageError(f"unknown network '{show(network)}': {did_you_mean(network, NETWORKS)}")
    path = shipped_or_own(path)
    if is_folder(path):
        path, record = _checkpoint_of_run(path, fold)
        settings = _with_record(settings, record)
        network = network or record.result.headline["model"]
    elif is_absent(path):
        raise UsageError(f"weights '{path!s:.200}': no such file; {_models(str(path))}")
    file = read_weight_file(path)
    if file.is_checkpoint:
        return _open_checkpoint(path, file, settings, network, fold)
    packed, release = unpack(file), _release(claims)
    state = packed.state
    if release is not None and is_released(state) and has_non_local(state) != release.non_local:
        has, usual = ("has", "has none") if has_non_local(state) else ("has no", "has them")
        raise UsageError(
            f"weights '{path}': the file {has} non-local blocks, but the release of {release.title} {usual}; "
            "correct --claims"
        )
    encoder, config, size = _build(state, settings, path)
    return EmbeddingModel(
        encoder,
        config,
        *size,
        source=path.name,
        sha256=file.sha256,
        container=packed.container,
        key_map=KEY_MAP if is_released(state) else None,
        network=network or (release.network if release is not None else "unknown"),
        depth_range=_depth_range(settings),
    )


def _open_checkpoint(
    path: Path, file: WeightFile, settings: _Settings, network: str | None, fold: int | None
) -> EmbeddingModel:
    found = checkpoints.load(path)
    models: Any = found.models
    texts = (found.data, found.key)
    plain = type(found.fold) is int and all(isinstance(text, str) for text in texts) and isinstance(models, dict)
    if not plain or not all(isinstance(state, dict) for state in models.values()):
        raise UsageError(f"{path}: not a checkpoint as this suite writes it; restore it, or train again")
    network = network or ("student" if "student" in models else next(iter(models), ""))
    if network not in models or network not in NETWORKS:
        raise UsageError(f"{path}: has no network '{show(network)}': {did_you_mean(str(network), map(str, models))}")
    if fold is not None and fold != found.fold:
        raise UsageError(f"{path}: trained on fold {found.fold}, not {fold}; give --fold {found.fold} or another file")
    state = models[network]
    if not all(isinstance(value, Tensor) for value in state.values()):
        raise UsageError(f"{path}: holds no weights of '{network}'; restore it, or train again")
    check_values(state, path)
    encoder, config, size = _build(state, settings, path)
    return EmbeddingModel(
        encoder,
        config,
        *size,
        source=path.name,
        sha256=file.sha256,
        container=TRAINING,
        key_map=None,
        network=network,
        fold=found.fold,
        data=found.data,
        training=found.key,
        depth_range=_depth_range(settings),
    )


def _depth_range(settings: _Settings) -> str:
    return build(
        DataConfig, {"depth_range": settings.get("data", {}).get("depth_range", EACH_IMAGE)}, "data"
    ).depth_range


def _release(claims: str | None) -> Release | None:
    """Return the known release that a claim begins with."""
    words = (claims or "").replace(",", " ").split()
    return RELEASES.get(words[0].lower()) if words else None


def _build(
    state: Mapping[str, Tensor], settings: _Settings, path: Path
) -> tuple[TwoStreamEncoder, EncoderConfig, tuple[int, int]]:
    """Build the encoder of some weights, in evaluation mode, and return it with its settings and its image size."""
    found, asked = _found_settings(state), dict(settings.get("encoder", {}))
    if "name" not in {**found, **asked}:
        names = printable(", ".join(sorted(state)[:3]))
        raise UsageError(
            f"weights '{path}' are of no encoder of this suite: {len(state)} unexpected ({names:.200}...); "
            f"the nearest known container is {nearest_container(state)}; for an encoder of yours, --set encoder.name"
        )
    if found and str(asked.get("name", found["name"])) not in ENCODERS.own_names():
        found = {}  # an encoder of the user may have the names of ours
    merged = {**found, **asked}
    if merged["name"] != found.get("name", merged["name"]):
        raise UsageError(
            f"--set encoder.name={show(merged['name'])}: the weights '{path}' are of {found['name']}; leave it out"
        )
    try:
        config = build(network_class(str(merged["name"])).Config, merged, "encoder")
    except UsageError as error:
        raise UsageError(f"weights '{path}': {error}") from error
    for name, value in found.items():
        if getattr(config, name, value) != value:
            raise UsageError(
                f"--set encoder.{name}={show(asked[name])}: the weights '{path}' are of encoder.{name}={value}; "
                "leave it out"
            )
    sizes = {name: value for name, value in settings.get("data", {}).items() if name in ("height", "width")}
    usual = dict(zip(("height", "width"), SMALL_SIZE, strict=True)) if config.name == "small" else {}
    data = build(DataConfig, {**usual, **sizes}, "data")
    if config.name not in ENCODERS.own_names():
        check_network(config, data.height, data.width)
    encoder = build_encoder(config, 0, data.height, data.width)
    load_state(encoder, state, path)
    return encoder.eval(), config, (data.height, data.width)


def _found_settings(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the settings of the encoder that follow from the names and shapes of weights; empty if none do."""
    if is_released(state):
        return {"name": "resnet50", "non_local": has_non_local(state)}
    if (first := state.get("trunk.layer1.0.conv1.weight")) is not None:
        if "trunk.layer1.0.conv3.weight" in state:
            return {"name": "resnet50", "non_local": has_non_local(state)}
        return {"name": "small", "non_local": has_non_local(state), "width": len(first) if first.dim() else 0}
    if (token := state.get("cls_token")) is not None and "visible.proj.weight" in state and token.dim() == 3:
        return {"name": _VIT_DIMS[token.shape[-1]]} if token.shape[-1] in _VIT_DIMS else {}
    return {}


def _checkpoint_of_run(folder: Path, fold: int | None) -> tuple[Path, Record]:
    """Return the last checkpoint of a fold of a finished run, and the record of the run."""
    record = _read_run(folder)
    if record.result.external is not None:
        raise UsageError(f"{folder}: the record of an external model; give its weight file")
    folds = _trained_folds(record)
    if not folds:
        raise UsageError(f"{folder}: '{record.result.method}' trained nothing; give a weight file")
    if fold is None and len(folds) > 1:
        raise UsageError(f"{folder}: trained on {len(folds)} folds; give one of them with --fold")
    chosen = folds[0] if fold is None else fold
    paths = sorted((folder / "checkpoints").glob(f"fold{chosen}-*.pt"), key=_position)
    if not paths:
        raise UsageError(f"{folder}: no checkpoint of fold {chosen} in 'checkpoints'; restore it, or give another fold")
    return paths[-1], record


def trained_folds(folder: Path) -> list[int]:
    """Return the folds that a finished run trained; empty if it trained nothing."""
    return _trained_folds(_read_run(folder))


def _trained_folds(record: Record) -> list[int]:
    return sorted({stage["fold"] for stage in record.provenance.get("stages", [])})


def _read_run(folder: Path) -> Record:
    """Read the record of a run; refuse another folder, and name the runs in it or the kind of folder that it is."""
    if is_file(folder / "record.json"):
        return read_record(folder / "record.json")
    runs = sorted(path.parent.name for path in folder.glob("*/record.json"))
    if is_file(folder / "about.json"):
        remedy = "it is an exported model, for 'embed' and 'search' only; give the run or the weights instead"
    elif runs:
        remedy = f"give one of the runs in it: {printable(', '.join(runs[:3]))}{' ...' if len(runs) > 3 else ''}"
    else:
        remedy = "give the folder of a finished run, a weight file, or a folder that 'export' wrote"
    raise UsageError(f"{folder}: not the folder of a finished run (it has no record.json); {remedy}")


def _position(path: Path) -> tuple[int, int]:
    """Return stage and epoch of a checkpoint ``fold1-2-pgm-epoch_0006.pt``."""
    parts = path.stem.split("-")
    stage, epoch = parts[1] if len(parts) > 1 else "", path.stem.rpartition("_")[2]
    return int(stage) if stage.isdecimal() else -1, int(epoch) if epoch.isdecimal() else -1


def _with_record(settings: _Settings, record: Record) -> dict[str, Any]:
    """Add the encoder and the image size of a record to settings, which may not contradict them."""
    known = record.result.config
    merged = {}
    for group, names in (("encoder", None), ("data", ("height", "width", "depth_range"))):
        recorded = {name: value for name, value in known.get(group, {}).items() if names is None or name in names}
        asked = dict(settings.get(group, {}))
        for name, value in asked.items():
            if name in recorded and str(value).lower() != str(recorded[name]).lower():
                raise UsageError(f"--set {group}.{name}={show(value)}: the run has {recorded[name]}; leave it out")
        merged[group] = {**asked, **recorded}
    return merged
