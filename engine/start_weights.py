"""Starting weights of a run: random, from a file, or those that the suite ships for synthetic people."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usvi_bench.components.encoder.network import EncoderConfig
from usvi_bench.components.encoder.registered import network_class
from usvi_bench.components.encoder.two_stream import TwoStreamEncoder
from usvi_bench.components.encoder.weights import load_weights
from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import read_json
from usvi_bench.core.record import StartWeights
from usvi_bench.core.seeding import derive
from usvi_bench.datasets.base import Dataset
from usvi_bench.engine.config import RunConfig

SHIPPED = Path(__file__).resolve().parent.parent / "components" / "encoder" / "pretrained"
"""Starting weights that the suite ships, made by :mod:`usvi_bench.engine.pretrain`; a note beside each names how."""


@dataclass(frozen=True)
class Start:
    """Weights that the first stage starts from: drawn at random from the seed, or read from a file."""

    source: str
    path: Path | None
    sha256: str | None

    @property
    def identity(self) -> str:
        """``random`` or the file's hash."""
        return self.sha256 or "random"

    def encoder(self, config: RunConfig) -> TwoStreamEncoder:
        """A network with these weights."""
        encoder = config.new_encoder(derive(config.seed, "encoder"))
        if self.path is not None:
            load_weights(encoder, self.path)
        return encoder

    def described(self) -> StartWeights:
        """For the record."""
        return {"source": self.source, "sha256": self.sha256}


def open_start(weights: str | None, dataset: Dataset, config: RunConfig) -> Start:
    """Resolve ``--weights`` and check that the file fits the encoder.

    Without ``--weights``, synthetic people start from the shipped weights of the encoder where there are some, else at
    random.

    Raises:
        UsageError: nothing given for real data, no such file, a file of another network, or shipped weights that
            have seen the people of this data set.
    """
    known = f"give {network_class(config.encoder.name).public_weights} (its path), or 'random'"
    if weights is None:
        if dataset.synthetic is None:
            raise UsageError(f"real data needs --weights: {known}")
        shipped = shipped_weights(config.encoder)
        weights = str(shipped) if shipped.exists() else "random"
    if weights == "random":
        return Start("random", None, None)
    path = Path(weights)
    if not path.is_file():
        raise UsageError(f"--weights {weights}: no such file; {known}")
    sha256 = load_weights(config.new_encoder(0), path)
    if dataset.synthetic is not None:
        _check_disjoint(path, sha256, dataset.synthetic)
    return Start(path.name, path, sha256)


def shipped_weights(encoder: EncoderConfig) -> Path:
    """Where the suite keeps its own weights of an encoder, whether there are any or not."""
    return SHIPPED / f"{encoder.variant}.safetensors"


def find_weights(source: str) -> str:
    """Return the path of weights that a record names: of those that the suite ships the file, else the name itself."""
    shipped = sorted(SHIPPED.glob(f"{Path(source).stem}.safetensors"))  # they had another ending once
    return str(shipped[0]) if shipped else source


def _check_disjoint(weights: Path, sha256: str, synthetic: dict[str, Any]) -> None:
    """Refuse people whom weights of ours have seen, whatever the file is called now: equal seeds are equal people."""
    seed = synthetic.get("spec", {}).get("seed")
    for tree in _trained_on(weights, sha256):
        if f"seed={seed}" in tree.partition(":")[2].split(","):
            raise UsageError(
                f"{weights.name} was trained on synthetic people of seed {seed}; "
                "choose another seed, or --weights random"
            )


def _trained_on(weights: Path, sha256: str) -> list[str]:
    """Return the synthetic trees that a weight file was made from, by the note beside it or a shipped note."""
    trees: list[str] = []
    for path in (weights.with_suffix(".json"), *SHIPPED.glob("*.json")):
        try:
            note = read_json(path)
        except (OSError, ValueError):  # no note, or somebody else's file
            continue
        if isinstance(note, dict) and note.get("sha256") == sha256:
            trees += note["recipe"]["people"]
    return trees
