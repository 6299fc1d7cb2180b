"""Training people without a counterpart: those who lose a modality, and those whose visible images show a stranger."""

from __future__ import annotations

from collections.abc import Iterable

from usvi_bench.core.types import Modality
from usvi_bench.synthetic.draws import stream
from usvi_bench.synthetic.spec import SyntheticSpec


def missing_modalities(spec: SyntheticSpec, people: Iterable[int], fold: int = 1) -> dict[int, Modality]:
    """Select the training people that lose one modality, and that modality.

    Half of them lose their infrared images, half their visible ones. A larger ``spec.mismatch`` selects the people of a
    smaller one and more.
    """
    lost: tuple[Modality, Modality] = ("infrared", "visible")
    return {person: lost[rank % 2] for rank, person in enumerate(_chosen(spec, "mismatch", people, fold))}


def foreign_people(spec: SyntheticSpec, people: Iterable[int], total: int, fold: int = 1) -> dict[int, int]:
    """Select the training people whose visible images show a stranger, and the number of each stranger.

    A larger ``spec.foreign`` selects the people of a smaller one, with the same strangers, and more.

    Args:
        spec: specification of the people.
        people: all training people.
        total: number of people in the tree; the numbers of strangers are larger.
        fold: fold that the people train.
    """
    return {person: total + person for person in _chosen(spec, "foreign", people, fold)}


def _chosen(spec: SyntheticSpec, knob: str, people: Iterable[int], fold: int) -> list[int]:
    order = stream(spec.seed, knob, fold).permutation(sorted(people)).tolist()
    return [int(person) for person in order[: round(spec.knobs()[knob] * len(order))]]
