"""Contradictions between scores and folds, trials, settings, the queries, and the definitions of the metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from usvi_bench.core.errors import UsageError, did_you_mean
from usvi_bench.core.metrics import RANKS, RERANKED
from usvi_bench.core.record import Record
from usvi_bench.core.registry import DATASETS, METHODS, PROTOCOLS, SCORE_METRICS
from usvi_bench.core.result import Kind, Result, Score
from usvi_bench.engine.config import RunConfig
from usvi_bench.engine.evaluation import FEATURE
from usvi_bench.leaderboard.bounds import TOLERANCE, Limits, impossible, possible_counts
from usvi_bench.leaderboard.derived import Scoring, expected_chance, scored_folds, scoring
from usvi_bench.leaderboard.result_faults import own_or_named
from usvi_bench.methods.base import Method
from usvi_bench.protocols.base import ProtocolConfig

SELECTIONS = ("last", "oracle")
OWN_IMAGES = "folder"
"""Name of the data set of own images, whose identities may be unknown."""
ROUNDING = 1e-3
"""Largest difference between the mAP of two scorings of the same weights, which may run on different devices."""
RANDOM_R1 = 0.2
"""Largest Rank-1 of a random ranking in a published test set; each has more than 90 people."""


def score_faults(record: Record, config: RunConfig | None) -> Iterator[str]:
    """Yield the contradictions of the scores.

    Args:
        record: a record with valid types.
        config: configuration of the run; None if its settings cannot be read.
    """
    yield from _kinds(record, config)
    yield from _reranked(record)
    yield from measured_faults(record, None if config is None else config.protocol_config)


def measured_faults(record: Record, config: ProtocolConfig | None) -> Iterator[str]:
    """Yield contradictions of the folds, trials, metrics and chance of any record.

    Args:
        record: a record with valid types.
        config: settings of the protocol; None if they cannot be read.
    """
    result = record.result
    if result.only_trained and result.dataset["name"] == OWN_IMAGES:
        return
    if result.dataset["synthetic"] is not None and config is not None and config.gallery != "seeded":
        yield f"result.config.protocol.gallery: '{config.gallery}', but synthetic people have seeded galleries only"
    yield from _trials(result)
    known = scorings(result, config)
    for i, score in enumerate(result.scores):
        where = f"result.scores[{i}].metrics"
        limits = known[score.fold].limits if score.fold in known else Limits()
        yield from (f"{where}: {fault}" for fault in impossible(score.metrics, limits))
        for name in score.metrics:
            if fault := own_or_named(SCORE_METRICS, name, record):
                yield f"{where}: {fault}"
    for fold, facts in known.items():
        scores = [score for score in result.scores if score.fold == fold]
        yield from _copies(scores, facts.galleries)
        rates = [score.metrics.get(f"R{rank}", 0.0) for score in scores for rank in RANKS]
        if not possible_counts(rates, facts.limits):
            number = f"{'' if facts.limits.exact else 'at most '}{facts.limits.queries}"
            yield f"result.scores: Rank-k of fold {fold} are not shares of {number} queries"
    yield from _chance(result, known)


def _copies(scores: Sequence[Score], galleries: int) -> Iterator[str]:
    """Yield models whose trials all have the same scores, digit for digit, although their galleries differ."""
    groups: dict[tuple[str, str], list[Score]] = {}
    for score in scores:
        groups.setdefault(_key(score), []).append(score)
    for (model, selection), group in groups.items():
        equal = all(score.metrics == group[0].metrics for score in group)
        if equal and galleries > 1 and len(group) > 1 and 0 < group[0].metrics.get("mAP", 0) < 1:
            yield (
                f"result.scores: all {len(group)} trials of {model} ({selection}) are equal in every digit, but they "
                f"have {galleries} different galleries"
            )


def scorings(result: Result, config: ProtocolConfig | None) -> dict[int, Scoring]:
    """Return what is known about the scoring of each fold of a protocol and a data set of the suite."""
    own = result.protocol in PROTOCOLS.own_names() and result.dataset["name"] in DATASETS.own_names()
    if config is None or not own or PROTOCOLS.get(result.protocol).dataset != result.dataset["name"]:
        return {}
    try:
        return {fold: scoring(result, config, fold) for fold in scored_folds(result)}
    except (UsageError, ValueError, TypeError):  # a faulty specification of people, which is reported as such
        return {}


def _kinds(record: Record, config: RunConfig | None) -> Iterator[str]:
    """Yield kinds of scores that the run cannot have made."""
    result, headline = record.result, record.result.headline
    if headline["selection"] != "last":
        yield f"result.headline.selection: {headline['selection']}; a headline is scored after the last epoch"
    if headline["feature"] != FEATURE:
        yield f"result.headline.feature: '{headline['feature']:.40}', but every run scores {FEATURE}"
    given: dict[str, object] = {**headline}
    if config is not None and result.protocol in PROTOCOLS.own_names():
        for name, value in PROTOCOLS.get(result.protocol)(config.protocol_config).kind_of(given).items():
            if given[name] != value:
                yield f"result.headline.{name}: {given[name]!r}, but the settings have {value!r}"
    kinds = {(score.model, score.selection) for score in result.scores}
    for model, selection in sorted(kinds):
        if selection not in SELECTIONS:
            yield f"result.scores: selection '{selection}' of {model}: {did_you_mean(selection, SELECTIONS)}"
    if config is not None and any(selection == "oracle" for _, selection in kinds) and not config.evaluate_every:
        yield "result.scores: selection 'oracle', but evaluate_every is 0"
    yield from _best_epochs(record)
    own = METHODS.get(result.method) if result.method in METHODS.own_names() else None
    one = own is not None and own.models is Method.models
    for model in sorted({model for model, _ in kinds} - ({"student"} if one else {"student", "teacher"})):
        if own is not None:
            yield f"result.scores: {result.method} has no model '{model:.40}'"
    for i, score in enumerate(result.scores):
        for name in ("shots", "gallery", "feature"):
            if getattr(score, name) != given[name] and not (name == "feature" and is_reranked(score, headline)):
                yield f"result.scores[{i}].{name}: {getattr(score, name)!r}, but the headline has {given[name]!r}"


def _best_epochs(record: Record) -> Iterator[str]:
    """Yield models whose best epoch of a fold has a lower mAP than the last epoch, although that was compared, too."""
    means: dict[tuple[str, int], dict[str, list[float]]] = {}
    for score in record.result.scores:
        if not is_reranked(score, record.result.headline):
            found = means.setdefault((score.model, score.fold), {})
            found.setdefault(score.selection, []).append(score.metrics.get("mAP", 0.0))
    for (model, fold), found in means.items():
        last, best = (fmean(found.get(selection, [0.0])) for selection in SELECTIONS)
        if "oracle" in found and best < last - ROUNDING:
            yield f"result.scores: {model} (oracle) has mAP {best:.6f} on fold {fold}, the last epoch {last:.6f}"


def is_reranked(score: Score, headline: Kind) -> bool:
    """Return whether a score is that of the headline's feature after re-ranking."""
    return score.feature == f"{headline['feature']}{RERANKED}"


def _reranked(record: Record) -> Iterator[str]:
    """Yield re-ranked scores that the options of the run do not give, and such scores that are missing."""
    result = record.result
    kinds = {(score.model, score.selection, is_reranked(score, result.headline)) for score in result.scores}
    found = {(model, selection) for model, selection, reranked in kinds if reranked}
    overrides = record.provenance.get("overrides")
    asked = overrides is not None and str(overrides["settings"].get("engine.rerank")).lower() in ("true", "1")
    plain = {(model, selection) for model, selection, reranked in kinds if not reranked and selection == "last"}
    wanted = plain if asked else set()
    for model, selection in sorted(found - wanted):
        yield f"result.scores: re-ranked scores of {model} ({selection}), which engine.rerank={asked} does not give"
    for model, selection in sorted(wanted - found):
        yield f"result.scores: no re-ranked scores of {model} ({selection}), but engine.rerank is true"


def _trials(result: Result) -> Iterator[str]:
    """Yield folds and trials that a run of these settings lacks, or cannot have."""
    folds = scored_folds(result)
    if not set(folds) <= set(result.folds) or len(set(folds)) < len(folds):
        yield f"result.config.data.folds: {folds}, but the data set has {result.folds}"
    done: dict[tuple[str, str], dict[int, list[int]]] = {_key(result.headline): {}}
    for score in result.scores:
        done.setdefault(_key(score), {}).setdefault(score.fold, []).append(score.trial)
    for (model, selection), found in done.items():
        what = f"{model} ({selection})"
        for fold in sorted({*folds, *found}):
            if fold not in found:
                yield f"result.scores: fold {fold} of {what} is missing"
            elif fold not in folds:
                yield f"result.scores: fold {fold} of {what} was not to be scored"
            elif len(found[fold]) != result.trials or sorted(found[fold]) != list(range(len(found[fold]))):
                listed = _shortened(found[fold])
                yield f"result.scores: fold {fold} of {what} has the trials {listed}, not {result.trials}"


def _key(kind: Kind | Score) -> tuple[str, str]:
    model, selection, feature = (
        (kind.model, kind.selection, kind.feature)
        if isinstance(kind, Score)
        else (kind["model"], kind["selection"], kind["feature"])
    )
    return (f"{model}, re-ranked" if feature.endswith(RERANKED) else model), selection


def _shortened(trials: list[int]) -> str:
    return f"{', '.join(map(str, sorted(trials)[:12]))}{', ...' if len(trials) > 12 else ''}"


def _chance(result: Result, known: Mapping[int, Scoring]) -> Iterator[str]:
    """Yield what is impossible for a random ranking, or differs from that of the same people and protocol."""
    limits = next((facts.limits for facts in known.values()), Limits())
    found = list(impossible(result.chance, limits))
    yield from (f"result.chance: {fault}" for fault in found)
    if found:
        return
    expected = expected_chance(known)
    for name, value in expected.items():
        if abs(result.chance[name] - value) > TOLERANCE:
            yield f"result.chance.{name}: {result.chance[name]}, but these people have {value}"
    if not expected and not all(value > 0 for value in result.chance.values()):
        yield "result.chance: a random ranking of any gallery scores above 0"
    if not expected and result.chance["R1"] == 1:
        yield "result.chance.R1: 1.0 is that of a gallery of one person"
    published = any(facts.limits.queries for facts in known.values())
    if not expected and published and result.chance["R1"] > RANDOM_R1:
        yield f"result.chance.R1: {result.chance['R1']} is too high for the published test set"
