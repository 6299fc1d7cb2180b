"""Consistency of a record: everything in it that follows from its other parts, from this suite or from a definition.

| field | must agree with |
|---|---|
| ``method``, ``protocol``, ``dataset.name`` | the suite, or a part of a listed plug-in; the protocol's own |
| ``dataset.fingerprint`` | the form for real or synthetic images; equal fingerprints are equal people |
| ``dataset.synthetic`` | the generator: versions, layout, specification, number of images, folds |
| ``dataset.knobs``, ``dataset.description`` | the specification; whether published counts were checked |
| ``seed`` | 0 or more; the keys of the stages |
| ``setting`` | the folders of settings, by data set and method |
| ``config`` | the names, types and ranges of the suite; the keys of the stages; the options of the run |
| ``format``, ``config_hash`` | committed defaults; the hash of the settings |
| ``start_weights`` | a shipped or public file; encoder; people that the file was trained on |
| ``uses_identities``, ``headline.model`` | the class of the method |
| ``headline``, kinds of ``scores`` | shots and gallery of the settings; the models of the method; ``evaluate_every`` |
| re-ranked ``scores`` | the headline's feature, the last weights, every model; ``engine.rerank`` of the options |
| ``folds``, ``trials``, ``scores`` | ``data.folds`` and the people; every trial once |
| ``scores.metrics`` | inequalities (:mod:`.bounds`); shares of the number of queries; registered metrics |
| ``chance`` | exactly that of the synthetic people; else the inequalities, and a bound for published test sets |
| ``commit``, ``dirty`` | their form; the starts of the stages |
| ``stages`` | methods, folds and keys, computed from settings, data, seed and starting weights |
| ``finished``, ``started``, ``seconds`` | possible dates in order; phases that fit between them |
| ``global_batch``, ``batch_norm``, ``threads``, ``numerics.precision`` | the settings, the options |
| ``overrides`` | the settings, the schedules |
| ``plugins`` | hashes, names, parts that are not of the suite |
| ``donors`` | ``data.foreign``; the form for real or synthetic images; other people than the training data |
| ``external`` | files, folds, container, settings; nothing of a training (:mod:`.external_faults`) |
| ``queries`` | the file beside the record, the scores and the people (:mod:`.sidecar_faults`) |
| ``journal`` | the journal beside the record, in the folder of a run |
| ``environment``, ``cpu``, ``gpu``, ``peak_memory_mib`` | present and positive; nothing else in a record implies them |
| two records | equal people, equal chance, equal queries and galleries; no copied scores (:func:`contradictions`) |

A consistent record may still be invented. Only a repetition of the run shows that its scores are right
(:mod:`.repeats`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict

from usvi_bench.core.errors import UsageError
from usvi_bench.core.record import Record
from usvi_bench.core.registry import METHODS
from usvi_bench.engine.config import RunConfig
from usvi_bench.leaderboard.derived import run_config
from usvi_bench.leaderboard.external_faults import external_faults
from usvi_bench.leaderboard.provenance_faults import provenance_faults
from usvi_bench.leaderboard.result_faults import (
    configuration_faults,
    data_faults,
    name_faults,
    parts_of_settings,
    weight_faults,
)
from usvi_bench.leaderboard.score_faults import score_faults


def faults(record: Record, *, ranked: bool = True) -> list[str]:
    """List the reasons why a record cannot be right, or cannot be ranked; empty for a consistent record.

    Args:
        record: a record with valid types.
        ranked: also list what a table needs: a complete run of a method of the suite, or of a plug-in that is named.
    """
    if record.result.external is not None:
        return external_faults(record, record.result.external)
    found = [*name_faults(record)]
    config: RunConfig | None = None
    if all(name in registry.own_names() for _, registry, name in parts_of_settings(record.result)):
        try:
            config = run_config(record.result)
        except (UsageError, ValueError, TypeError) as error:
            found.append(f"result.config: {error}")
    checks: list[Callable[[Record, RunConfig | None], Iterator[str]]] = [
        configuration_faults,
        weight_faults,
        score_faults,
        provenance_faults,
    ]
    found += [fault for check in checks for fault in check(record, config)]
    found += data_faults(record)
    if ranked:
        found += not_ranked(record)
    return found


def not_ranked(record: Record) -> Iterator[str]:
    """Yield the reasons why a table leaves out a record."""
    result = record.result
    if result.external is not None:  # it has a table of its own
        return
    if result.method not in METHODS.own_names() and not any(
        f"method {result.method}" in plugin["parts"] for plugin in record.plugins
    ):
        yield (
            f"unknown method '{result.method}', and the record lists no plug-in with it; remove the record, "
            "or run the method again with --import"
        )
    if made_for := record.provenance.get("ablation"):
        yield f"belongs to an ablation ({made_for}); remove it, and run the method without the ablation"


def contradictions(records: Mapping[str, Record]) -> Iterator[str]:
    """Yield contradictions between records: people and fingerprints, chance, queries and galleries, copied scores."""
    people: dict[str, tuple[str, str]] = {}
    prints: dict[str, tuple[str, str]] = {}
    chances: dict[str, tuple[str, dict[str, float]]] = {}
    scores: dict[str, tuple[str, Record]] = {}
    draws: dict[str, tuple[str, str]] = {}
    for name, record in records.items():
        result, data = record.result, record.result.dataset
        made, mark = json.dumps([data["name"], data["synthetic"]], sort_keys=True), data["fingerprint"]
        if data["synthetic"] is not None and people.setdefault(made, (name, mark))[1] != mark:
            yield f"{name}: result.dataset.fingerprint: {people[made][0]} has another one for the same people"
        if prints.setdefault(mark, (name, made))[1] != made:
            yield f"{name}: result.dataset.synthetic: {prints[mark][0]} has other people with the same fingerprint"
        kind = json.dumps([mark, result.protocol, result.headline["shots"], result.headline["gallery"]])
        where = f"{kind} {result.config.get('data', {}).get('folds')}"
        if chances.setdefault(where, (name, result.chance))[1] != result.chance:
            yield f"{name}: result.chance: {chances[where][0]} has another one for the same galleries"
        if (note := result.queries) is not None and draws.setdefault(where, (name, note["draws"]))[1] != note["draws"]:
            yield f"{name}: result.queries.draws: {draws[where][0]} has another one for the same galleries"
        if not record.provenance.get("stages"):  # untrained or external: every seed scores the same weights
            continue
        content = json.dumps([kind, sorted(json.dumps(asdict(score), sort_keys=True) for score in result.scores)])
        other = scores.setdefault(content, (name, record))
        if result.scores and other[0] != name:
            yield f"{name}: result.scores: equal to those of {other[0]} in every digit"
