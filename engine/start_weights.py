"""Starting weights of a run: random, from a file, or shipped with the suite for synthetic people."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usvi_bench.components.encoder.network import EncoderConfig
from usvi_bench.components.encoder.public_file import digits_of
from usvi_bench.components.encoder.registered import network_class
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.components.encoder.weights import load_weights
from usvi_bench.core.errors import UsageError, closest
from usvi_bench.core.files import read_json
from usvi_bench.core.paths import expanded, is_file, is_folder
from usvi_bench.core.result import StartWeights
from usvi_bench.core.seeding import derive
from usvi_bench.core.typed import convert
from usvi_bench.datasets.base import Dataset
from usvi_bench.engine.config import RunConfig
from usvi_bench.engine.imagenet import IMAGENET, TRY, find_imagenet

SHIPPED = Path(__file__).resolve().parent.parent / "components" / "encoder" / "pretrained"
"""Folder of the shipped starting weights, made by :mod:`usvi_bench.engine.pretrain`; each has a note beside it."""


@dataclass(frozen=True)
class Start:
    """Start of the first stage: weights drawn at random from the seed, or read from a file."""

    source: str
    path: Path | None
    sha256: str | None
    note: str = ""
    """Further words about the file, for the user."""

    @property
    def identity(self) -> str:
        """Hash of the file, or ``random``."""
        return self.sha256 or "random"

    def encoder(self, config: RunConfig) -> TwoStreamEncoder:
        """Build an encoder with these weights."""
        encoder = config.new_encoder(derive(config.seed, "encoder"))
        if self.path is not None:
            load_weights(encoder, self.path)
        return encoder

    def described(self) -> StartWeights:
        """Return the source and the hash, for the record."""
        return {"source": self.source, "sha256": self.sha256}


def open_start(weights: str | None, dataset: Dataset, config: RunConfig) -> Start:
    """Resolve ``--weights`` and check that the file fits the encoder.

    Without ``--weights``, a run on synthetic people starts from the shipped weights of its encoder and layout, or
    from random weights if none are shipped.

    Raises:
        UsageError: no weights are given for real data, the file does not exist or belongs to another network, or the
            weights were pretrained on the synthetic people of this data set.
    """
    if weights is None:
        if dataset.synthetic is None:
            raise UsageError(f"real data needs --weights: {known_weights(config.encoder.name)}; {TRY}")
        shipped = shipped_weights(config.encoder, str(dataset.synthetic.get("layout", "")))
        weights = str(shipped) if shipped.exists() else "random"
    if weights == "random":
        return Start("random", None, None)
    path = locate_weights(weights, config.encoder.name)
    sha256 = load_weights(config.new_encoder(0), path)
    if dataset.synthetic is not None:
        check_disjoint(path, sha256, dataset.synthetic)
    return Start(path.name, path, sha256, _note(path) if weights == IMAGENET else "")


def _note(path: Path) -> str:
    """Return where a public file was found; the leaderboard accepts the files of torch hub only."""
    return f" ({path})" if digits_of(path.name) else f" (timm's copy, {path}; the leaderboard refuses its records)"


def known_weights(encoder: str) -> str:
    """Return the values of ``--weights`` for an encoder, as the end of a message."""
    network = network_class(encoder)
    public = network.public_file
    cached = f" (fetch {public.url}), '{IMAGENET}' for this file in a cache" if public else ""
    return f"give the path of {network.public_weights}{cached}, or 'random'"


def locate_weights(weights: str, encoder: str) -> Path:
    """Return the file that ``--weights`` names: by its path, by the name of shipped weights, or by ``imagenet``.

    Raises:
        UsageError: no file is found; the message contains ``weights`` as it was given.
    """
    path = shipped_or_own(expanded(weights))
    if is_file(path):
        return path
    if is_folder(path):
        raise UsageError(f"--weights {weights:.200}: this is a folder, not a file; {known_weights(encoder)}")
    if weights == IMAGENET:
        return find_imagenet(encoder)
    shipped = [known.stem for known in SHIPPED.glob("*.safetensors")]
    close = closest(weights, [IMAGENET, "random", *shipped]) if "." not in weights else []
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    raise UsageError(f"--weights {weights:.200}: no such file; {hint}{known_weights(encoder)}; {TRY}")


def shipped_or_own(path: Path) -> Path:
    """Return the shipped file of a name such as ``small16``, unless there is a file or a folder of that name."""
    shipped = {known.stem: known for known in SHIPPED.glob("*.safetensors")}
    return path if is_file(path) or is_folder(path) else shipped.get(str(path), path)


def shipped_weights(encoder: EncoderConfig, layout: str = "") -> Path:
    """Return the shipped weights of an encoder: those of a layout of people if it has its own.

    The file may not exist.
    """
    own = weights_file(encoder, layout)
    return own if own.exists() else weights_file(encoder)


def weights_file(encoder: EncoderConfig, layout: str | None = None) -> Path:
    """Return the file for the shipped weights of an encoder, or for those of a layout only."""
    return SHIPPED / f"{encoder.variant}{'-' + layout if layout else ''}.safetensors"


def find_weights(source: str) -> str:
    """Return the path of weights that a record names: a shipped file of that name, else the name itself."""
    shipped = {path.stem: str(path) for path in SHIPPED.glob("*.safetensors")}
    return shipped.get(Path(source).stem, source)  # older records have another ending


def check_disjoint(weights: Path, sha256: str, synthetic: dict[str, Any]) -> None:
    """Refuse synthetic people that the weights were pretrained on, which have an equal seed.

    The weights are recognised by their hash, also in a renamed file.
    """
    seed = synthetic.get("spec", {}).get("seed")
    for tree in _trained_on(weights, sha256):
        if f"seed={seed}" in tree.partition(":")[2].split(","):
            raise UsageError(
                f"{weights.name} was trained on synthetic people of seed {seed}; "
                "choose another seed of the people (--data synthetic:seed=N), or --weights random"
            )


def _trained_on(weights: Path, sha256: str) -> list[str]:
    """Return the synthetic people that weights were trained on, from the note beside the file or a shipped note."""
    trees: list[str] = []
    for path in (weights.with_suffix(".json"), *SHIPPED.glob("*.json")):
        try:
            note = read_json(path)
        except (OSError, ValueError):  # no note, or an unrelated file
            continue
        if isinstance(note, dict) and note.get("sha256") == sha256:
            try:
                trees += convert(list[str], note["recipe"]["people"], "recipe.people")
            except (LookupError, TypeError, ValueError) as error:
                raise UsageError(f"{path}: not the note of {weights.name} ({error}); remove it") from error
    return trees
