"""Contradictions in the record of an external model. It has no training, so all of a training must be absent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from usvi_bench.components.encoder.registered import network_class
from usvi_bench.components.encoder.released import KEY_MAP, RELEASES
from usvi_bench.components.encoder.weight_file import PLAIN, SAFETENSORS, WRAPPERS
from usvi_bench.core.errors import UsageError
from usvi_bench.core.external import (
    CHECKPOINT,
    FEATURES,
    METHOD,
    NETWORKS,
    RELEASED,
    External,
    hash_of_files,
    name_of_files,
)  # fmt: skip
from usvi_bench.core.record import Record
from usvi_bench.core.registry import DATASETS, ENCODERS, PROTOCOLS
from usvi_bench.core.result import Result
from usvi_bench.core.sealed import SHA256
from usvi_bench.engine.config import DataConfig
from usvi_bench.engine.embedding_model import TRAINING
from usvi_bench.engine.external import GIVEN
from usvi_bench.engine.external_scoring import KINDS, RARE
from usvi_bench.engine.load_config import build
from usvi_bench.leaderboard.derived import scored_folds
from usvi_bench.leaderboard.option_faults import plugin_faults
from usvi_bench.leaderboard.provenance_faults import place_faults, time_faults
from usvi_bench.leaderboard.result_faults import data_faults, field_faults, own_or_named, people_faults
from usvi_bench.leaderboard.score_faults import is_reranked, measured_faults
from usvi_bench.protocols.base import ProtocolConfig

NEWER = ("corrupt", "corrupt_at")
"""Settings of protocols that older records lack."""
_FILE = re.compile(r"[^/\\\n]{1,200}")
_CONTAINER = re.compile(rf"({'|'.join(WRAPPERS)})(\.({'|'.join(WRAPPERS)})){{0,9}}")


def external_faults(record: Record, external: External) -> list[str]:
    """List the reasons why the record of an external model cannot be right; empty for a consistent record."""
    result = record.result
    found = [*_names(record), *_file_faults(result, external), *_release_faults(result, external)]
    protocol: ProtocolConfig | None = None
    try:
        protocol = build(ProtocolConfig, result.config.get("protocol", {}), "protocol")
        found += _setting_faults(result, external, protocol)
    except (UsageError, ValueError, TypeError) as error:
        found.append(f"result.config: {error}")
    found += _kinds(result, external, protocol)
    return [*found, *measured_faults(record, protocol), *_provenance(record), *data_faults(record)]


def _names(record: Record) -> Iterator[str]:
    result = record.result
    parts = [("protocol", PROTOCOLS, result.protocol), ("dataset.name", DATASETS, result.dataset["name"])]
    if (encoder := result.config.get("encoder")) is not None:
        parts.append(("config.encoder.name", ENCODERS, str(encoder.get("name"))))
    for field, registry, name in parts:
        if fault := own_or_named(registry, name, record):
            yield f"result.{field}: {fault}"
    for field, value in (("method", result.method), ("setting", result.setting)):
        if value != METHOD:
            yield f"result.{field}: '{value:.40}', but that of an external model is '{METHOD}'"
    if result.seed != 0:
        yield f"result.seed: {result.seed}, but nothing was trained here"
    if result.uses_identities:
        yield "result.uses_identities: true, which cannot be verified for an external model"
    if record.expected_hash() != result.config_hash:
        yield "result.config_hash: not the hash of result.config"
    yield from field_faults(result)


def _file_faults(result: Result, external: External) -> Iterator[str]:
    """Yield faults of the files, and between them and the folds and the starting weights."""
    files = external.files
    for i, file in enumerate(files):
        if not _FILE.fullmatch(file.source):
            yield f"result.external.files[{i}].source: '{file.source:.40}' is not the name of a file"
        if not SHA256.fullmatch(file.sha256):
            yield f"result.external.files[{i}].sha256: '{file.sha256:.70}' is not a SHA-256"
    folds = [file.fold for file in files]
    if sorted(folds) != sorted(scored_folds(result)):
        yield f"result.external.files: of the folds {folds}, but {scored_folds(result)} were scored"
    if result.start_weights != {"source": name_of_files(files), "sha256": hash_of_files(files)}:
        yield "result.start_weights: not those of result.external.files"
    yield from people_faults(result, [file.sha256 for file in files])


def _release_faults(result: Result, external: External) -> Iterator[str]:
    """Yield faults of the kind, the claims, the container and the network."""
    container, claims = external.container, external.claims
    if external.kind not in (CHECKPOINT, FEATURES):
        yield f"result.external.kind: '{external.kind:.40}' is neither {CHECKPOINT} nor {FEATURES}"
    if claims is not None and not (0 < len(claims) <= 100 and claims.isprintable()):
        yield "result.external.claims: not one line of at most 100 characters"
    if external.network not in NETWORKS:
        yield f"result.external.network: '{external.network:.40}' is none of {', '.join(NETWORKS)}"
    if external.kind == FEATURES:
        if (container, external.key_map, external.network) != (None, None, "unknown"):
            yield "result.external: features have no container, no map of names and no known network"
        return
    plain = container in (SAFETENSORS, PLAIN, TRAINING)
    if container is None or not (plain or _CONTAINER.fullmatch(container)):
        yield f"result.external.container: {container!r:.40} is not a known container"
    if container == TRAINING and external.network == "unknown":
        yield "result.external.network: unknown, but a checkpoint of a training names its networks"
    if external.key_map not in (None, KEY_MAP):
        yield f"result.external.key_map: '{external.key_map:.40}' is not a known map"
    encoder = result.config.get("encoder", {})
    if external.key_map is not None and (container == TRAINING or encoder.get("name") != "resnet50"):
        yield "result.external.key_map: belongs to released weights of ResNet-50"
    words = (claims or "").replace(",", " ").split()
    release = RELEASES.get(words[0].lower()) if words else None
    if external.key_map and release is not None and encoder.get("non_local") != release.non_local:
        yield f"result.external.claims: {release.title}'s release has encoder.non_local={release.non_local}"


def _setting_faults(result: Result, external: External, protocol: ProtocolConfig) -> Iterator[str]:
    """Yield settings that no scoring writes.

    Raises:
        UsageError: a setting is unknown, of the wrong type or out of range.
    """
    config: Mapping[str, Any] = result.config
    data = dict(config.get("data", {}))
    given = config.get("protocol", {})
    build(DataConfig, data, "data")
    own = {"folds": data.get("folds", []), "check_counts": data.get("check_counts", True)}
    known = {name: value for name, value in asdict(protocol).items() if name not in NEWER or name in given}
    usual = DataConfig()
    own |= {name: data[name] for name in RARE if data.get(name, getattr(usual, name)) != getattr(usual, name)}
    wanted: dict[str, Any] = {"data": own, "protocol": known}
    if external.kind == CHECKPOINT:
        encoder = config.get("encoder", {})
        name = str(encoder.get("name"))
        wanted["data"] = {**own, "height": data.get("height"), "width": data.get("width")}
        wanted["encoder"] = encoder
        if name in ENCODERS.own_names():
            wanted["encoder"] = asdict(build(network_class(name).Config, encoder, "encoder"))
        resize = PROTOCOLS.get(result.protocol).resize if result.protocol in PROTOCOLS.own_names() else None
        filter = config.get("scoring", {}).get("filter") if resize is None else resize
        wanted["scoring"] = {"filter": filter, "mirror": KINDS.get(result.headline["feature"])}
    wanted = json.loads(json.dumps(wanted))
    for group in sorted({*wanted, *config}):
        if config.get(group) != wanted.get(group):
            found, right = config.get(group), wanted.get(group)
            yield f"result.config.{group:.40}: {found!r:.80}, which a scoring writes as {right!r:.80}"
    if len(own["folds"]) == len(result.folds):
        yield "result.config.data.folds: all folds, which a scoring writes as []"
    if external.kind == CHECKPOINT and any(type(wanted["data"][name]) is not int for name in ("height", "width")):
        yield "result.config.data: the size of the images is missing"


def _kinds(result: Result, external: External, protocol: ProtocolConfig | None) -> Iterator[str]:
    """Yield differences between the headline, the scores, the kind of the model and the protocol."""
    headline = result.headline
    if headline["selection"] != RELEASED:
        yield f"result.headline.selection: {headline['selection']:.40}, but that of an external model is {RELEASED}"
    if headline["model"] != external.network:
        yield f"result.headline.model: {headline['model']:.40}, but result.external.network is {external.network:.40}"
    known = [GIVEN] if external.kind == FEATURES else list(KINDS)
    if headline["feature"] not in known:
        yield f"result.headline.feature: '{headline['feature']:.40}' is none of {', '.join(known)}"
    if protocol is not None and result.protocol in PROTOCOLS.own_names():
        for name, value in PROTOCOLS.get(result.protocol)(protocol).kind_of(dict(headline)).items():
            if dict(headline)[name] != value:
                yield f"result.headline.{name}: {dict(headline)[name]!r:.40}, but the settings have {value!r}"
        if external.kind == FEATURES and PROTOCOLS.get(result.protocol).corrupted:
            yield f"result.protocol: {result.protocol} embeds corrupted images itself, which features files cannot"
    for i, score in enumerate(result.scores):
        for name, value in headline.items():
            if getattr(score, name, value) != value and not (name == "feature" and is_reranked(score, headline)):
                yield f"result.scores[{i}].{name}: {getattr(score, name)!r:.40}, but the headline has {value!r:.40}"


def _provenance(record: Record) -> Iterator[str]:
    made = record.provenance
    yield from place_faults(record)
    yield from time_faults(record)
    yield from plugin_faults(record)
    if made["global_batch"] is not None or made["batch_norm"] != "none":
        yield "provenance.global_batch, batch_norm: an external model was not trained here"
    if "overrides" in made:
        yield "provenance.overrides: an external model has no options of a training"
