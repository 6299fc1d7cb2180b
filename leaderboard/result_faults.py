"""Contradictions between the parts of a result: names, data, configuration and weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import cache
from typing import cast

from usvi_bench.components.encoder.registered import network_class
from usvi_bench.core.errors import UsageError
from usvi_bench.core.files import read_json
from usvi_bench.core.record import Record
from usvi_bench.core.registry import DATASETS, ENCODERS, LR_SCHEDULES, METHODS, PROTOCOLS, Registry
from usvi_bench.core.result import DatasetIdentity, Kind, Result, StartWeights
from usvi_bench.core.sealed import SHA256
from usvi_bench.core.settings import SHARED, flatten
from usvi_bench.engine.config import RunConfig
from usvi_bench.engine.load_config import profile_of
from usvi_bench.engine.read_settings import CONFIGS
from usvi_bench.engine.start_weights import SHIPPED, check_disjoint
from usvi_bench.engine.transfer import same_people
from usvi_bench.leaderboard.derived import counts_checked, data_sentence, planned_people
from usvi_bench.leaderboard.donor_faults import donor_faults
from usvi_bench.synthetic import GENERATOR_VERSIONS, changed_knobs
from usvi_bench.synthetic.cameras import Layout
from usvi_bench.synthetic.digests import other_bytes
from usvi_bench.synthetic.layout import fold_numbers
from usvi_bench.synthetic.spec import SyntheticSpec

OTHER_PUBLIC = {"11ad3fa6": "resnet50"}
"""First digits of the SHA-256 of public files that are no encoder's ``public_file``, and their encoder."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")


def own_or_named(registry: Registry, name: str, record: Record) -> str:
    """Return why a part is neither one of the suite nor one of a plug-in of the record; empty if it is."""
    words = f"{registry.kind} {name}"
    claimed = any(words in plugin["parts"] for plugin in record.plugins)
    if name in registry.own_names():
        return f"a plug-in claims the {words} of the suite" if claimed else ""
    return "" if claimed else f"unknown {registry.kind} '{name:.40}', and no plug-in of the record has it"


def parts_of_settings(result: Result) -> list[tuple[str, Registry, str]]:
    """Return field, registry and name of the parts that the settings depend on: method, encoder, schedule."""
    encoder = result.config.get("encoder", {}).get("name")
    schedule = result.config.get("train", {}).get("lr_schedule", "step")  # older records lack it
    return [
        ("method", METHODS, result.method),
        ("config.encoder.name", ENCODERS, str(encoder)),
        ("config.train.lr_schedule", LR_SCHEDULES, str(schedule)),
    ]


def name_faults(record: Record) -> Iterator[str]:
    """Yield names that are not valid, and parts that nobody defines."""
    result = record.result
    for kind, name in (("method", result.method), ("protocol", result.protocol), ("setting", result.setting)):
        if not _NAME.fullmatch(name):
            yield f"result.{kind}: '{name:.40}' is not a valid name"
    parts = (("protocol", PROTOCOLS, result.protocol), ("dataset.name", DATASETS, result.dataset["name"]))
    for field, registry, name in (*parts, *parts_of_settings(result)[1:]):
        if fault := own_or_named(registry, name, record):
            yield f"result.{field}: {fault}"
    if result.seed < 0:
        yield f"result.seed: {result.seed} is negative"
    yield from field_faults(result)


def field_faults(result: Result) -> Iterator[str]:
    """Yield unknown fields of the groups of a result."""
    groups: list[tuple[str, Mapping[str, object], type]] = [
        ("dataset", cast(Mapping[str, object], result.dataset), DatasetIdentity),
        ("headline", cast(Mapping[str, object], result.headline), Kind),
        ("start_weights", cast(Mapping[str, object], result.start_weights), StartWeights),
    ]
    for group, content, form in groups:
        if unknown := sorted(set(content) - set(form.__annotations__)):
            yield f"result.{group}.{unknown[0]:.40}: unknown field"


def configuration_faults(record: Record, config: RunConfig | None) -> Iterator[str]:
    """Yield settings that no run writes, and fields that differ from what the settings imply.

    Args:
        record: a record with valid types.
        config: configuration that the settings were read to; None if they cannot be read.
    """
    result = record.result
    if record.expected_hash() != result.config_hash:
        yield "result.config_hash: not the hash of result.config"
    if result.method in METHODS.own_names():
        method = METHODS.get(result.method)
        if result.uses_identities != method.uses_identities:
            yield f"result.uses_identities: {result.uses_identities}, but {result.method} has {method.uses_identities}"
        if result.headline["model"] != method.headline:
            yield f"result.headline.model: {result.headline['model']}, but {result.method} has {method.headline}"
    if config is None:
        return
    written = config.settings()
    if unknown := sorted(set(result.config) - set(written)):
        yield f"result.config.{unknown[0]:.40}: not a group of settings"
    wanted = flatten(written)
    for name, value in flatten(result.config).items():
        if name in wanted and (wanted[name] != value or type(wanted[name]) is not type(value)):
            yield f"result.config.{name}: {value!r:.40}, which a run writes as {wanted[name]!r:.40}"
    yield from _setting(result)


def _setting(result: Result) -> Iterator[str]:
    data = result.trained_on or result.dataset
    if not (_NAME.fullmatch(result.setting) and _NAME.fullmatch(result.method)):  # reported as names
        return
    if result.protocol not in PROTOCOLS.own_names() or data["name"] not in DATASETS.own_names():
        return
    note = data["synthetic"]
    if note is not None and isinstance(note.get("spec"), dict):
        usual = asdict(SyntheticSpec())
        for name, value in note["spec"].items():
            if name in usual and type(value) is not type(usual[name]):
                expected = type(usual[name]).__name__
                yield f"result.dataset.synthetic.spec.{name}: {value!r:.40} is not of the type {expected}"
    usual_profile = DATASETS.get(data["name"]).profile or data["name"]
    profile = profile_of(usual_profile, None if note is None else note.get("spec", {}))
    if not (CONFIGS / result.setting / f"{profile}.py").is_file():
        yield f"result.setting: '{result.setting:.40}' is not a setting of {profile}"
    elif result.setting != SHARED and not (CONFIGS / result.setting / result.method / f"{profile}.py").is_file():
        yield f"result.setting: {result.method} has no {result.setting} setting for {profile}"


def data_faults(record: Record) -> Iterator[str]:
    """Yield contradictions in the identities of the data sets, and between them and the protocol."""
    result, data = record.result, record.result.dataset
    yield from _identity(result)
    if result.trained_on is not None:
        yield from _training_faults(result, result.trained_on)
    yield from donor_faults(result, _identity)
    if result.protocol not in PROTOCOLS.own_names():
        return
    protocol = PROTOCOLS.get(result.protocol)
    if data["name"] != protocol.dataset:
        yield f"result.dataset.name: {data['name']}, but {result.protocol} scores {protocol.dataset}"
    if result.trials != protocol.trials_per_fold:
        yield f"result.trials: {result.trials}, but {result.protocol} has {protocol.trials_per_fold}"


def _training_faults(result: Result, trained: DatasetIdentity) -> Iterator[str]:
    """Yield contradictions in the identity of the training data, and people that were trained on and scored."""
    if unknown := sorted(set(trained) - set(DatasetIdentity.__annotations__)):
        yield f"result.trained_on.{unknown[0]:.40}: unknown field"
    if trained["name"] not in DATASETS.names():
        yield f"result.trained_on.name: unknown data set '{trained['name']:.40}'"
    for fault in _identity(replace(result, dataset=trained)):
        if not fault.startswith("result.folds"):  # they are those of the scored data
            yield fault.replace("result.dataset", "result.trained_on", 1)
    if trained["fingerprint"] == result.dataset["fingerprint"]:
        yield "result.trained_on.fingerprint: that of the scored images"
    if same_people(trained["synthetic"], result.dataset["synthetic"]):
        yield "result.trained_on.synthetic: the seed of the scored people, who are the same people"
    if result.config.get("evaluate_every"):
        yield "result.config.evaluate_every: a training for another data set is scored at its end only"


def _identity(result: Result) -> Iterator[str]:
    data = result.dataset
    synthetic = data["synthetic"]
    prefix = "synthetic-" if synthetic is not None else ""
    if not re.fullmatch(rf"{prefix}[0-9a-f]{{16}}", data["fingerprint"]):
        kind = "synthetic" if prefix else "real"
        yield f"result.dataset.fingerprint: '{data['fingerprint']:.40}' is not the form of {kind} images"
    spec = synthetic.get("spec") if synthetic is not None else None
    if isinstance(spec, dict) and data["knobs"] != (knobs := changed_knobs(spec)):
        yield f"result.dataset.knobs: {data['knobs']}, but the generated people have {knobs}"
    if data["name"] in DATASETS.own_names():
        if synthetic is not None:
            yield from _people(result)
        if (folds := _known_folds(result)) is not None and sorted(result.folds) != list(folds):
            yield f"result.folds: {result.folds}, but these images have {list(folds)}"
        if data["description"] != (sentence := data_sentence(result)):
            yield f"result.dataset.description: '{data['description']:.80}', but the data are '{sentence}'"


def _known_folds(result: Result) -> tuple[int, ...] | None:
    """Return the folds of the images of a data set of the suite, in ascending order; None if they are not known."""
    name, synthetic = result.dataset["name"], result.dataset["synthetic"]
    if synthetic is None:
        published: tuple[int, ...] = DATASETS.get(name).published_folds
        return published if counts_checked(result) else None
    try:
        return fold_numbers(cast(Layout, name), synthetic["spec"]["size"])
    except (KeyError, TypeError):  # no specification, which is a fault of its own
        return None


def _people(result: Result) -> Iterator[str]:
    """Yield contradictions in the note of the generator."""
    note, name = result.dataset["synthetic"] or {}, result.dataset["name"]
    where = "result.dataset.synthetic"
    if set(note) != {"generator_version", "layout", "spec", "images", "bytes"}:
        yield f"{where}: has the entries {', '.join(sorted(note))}"
        return
    version = note["generator_version"]
    if type(version) is not int or not 1 <= version <= GENERATOR_VERSIONS.get(name, 0):
        yield f"{where}.generator_version: {version!r:.40} is not a version of the generator"
        return
    if note["layout"] != name:
        yield f"{where}.layout: {note['layout']!r:.40}, but the data set is {name}"
    if not SHA256.fullmatch(str(note["bytes"])):
        yield f"{where}.bytes: '{note['bytes']!s:.40}' is not a SHA-256"
    elif warning := other_bytes(note):
        yield f"{where}.bytes: {warning}"
    if type(note["images"]) is not int or note["images"] < 1:
        yield f"{where}.images: {note['images']!r:.40} is not a number of images"
    try:
        people = planned_people(result)
    except (UsageError, TypeError) as error:
        yield f"{where}.spec: {error}"
        return
    if people is None:
        if version == GENERATOR_VERSIONS.get(name):
            yield f"{where}.spec: not a specification of people"
        return
    if note["spec"] != people.entries:
        yield f"{where}.spec: {note['spec']}, which the generator writes as {people.entries}"
    if note["images"] != people.images:
        yield f"{where}.images: {note['images']}, but these people have {people.images}"


def weight_faults(record: Record, config: RunConfig | None) -> Iterator[str]:
    """Yield starting weights that are not known, or that do not fit the run."""
    start = record.result.start_weights
    sha256, source = start["sha256"], start["source"]
    if not re.fullmatch(r"[^/\\\n]{1,200}", source):
        yield f"result.start_weights.source: '{source:.40}' is not the name of a file"
    if (sha256 is None) != (source == "random"):
        yield f"result.start_weights: {source:.40} with the hash {sha256}"
    if sha256 is None:
        return
    if not SHA256.fullmatch(sha256):
        yield f"result.start_weights: '{sha256:.70}' is not a SHA-256"
    elif sha256 in _shipped():
        if config is not None and re.split(r"[-.]", _shipped()[sha256])[0] != config.encoder.variant:
            yield f"result.start_weights: {_shipped()[sha256]} does not fit the encoder {config.encoder.variant}"
        yield from people_faults(record.result, [sha256])
    elif (encoder := _public().get(sha256[:8])) is None:
        yield f"result.start_weights: {sha256[:16]} is neither a file of this suite nor a public file that is known"
    elif config is not None and not config.encoder.name.startswith(encoder):
        yield f"result.start_weights: {sha256[:16]} is a file of {encoder}, but the encoder is {config.encoder.name}"


@cache
def _public() -> dict[str, str]:
    """Map the first digits of the SHA-256 of public files to their encoder."""
    files = {name: network_class(name).public_file for name in ENCODERS.own_names()}
    return OTHER_PUBLIC | {digits: name for name, file in files.items() if file for digits in file.digits}


def people_faults(result: Result, hashes: Iterable[str]) -> Iterator[str]:
    """Yield shipped weights that were trained on the synthetic people of a result."""
    synthetic = result.dataset["synthetic"]
    for sha256 in hashes if synthetic is not None else ():
        try:
            if sha256 in _shipped():
                check_disjoint(SHIPPED / _shipped()[sha256], sha256, synthetic or {})
        except UsageError as error:
            yield f"result.start_weights: {error}"


@cache
def _shipped() -> dict[str, str]:
    """Return the name of each shipped file by its hash, from the notes, which earlier files have too."""
    return {read_json(path)["sha256"]: f"{path.stem}.safetensors" for path in SHIPPED.glob("*.json")}
