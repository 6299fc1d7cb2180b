"""Contradictions in the identity of the donors, whose people replace training people in visible images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import cast

from usvi_bench.core.registry import DATASETS
from usvi_bench.core.result import DatasetIdentity, Donors, Result
from usvi_bench.datasets.people_folder import PeopleFolder
from usvi_bench.engine.transfer import same_people


def donor_faults(result: Result, identity_faults: Callable[[Result], Iterator[str]]) -> Iterator[str]:
    """Yield contradictions between the donors, the setting ``data.foreign`` and the other data sets.

    Args:
        result: a result with valid types.
        identity_faults: function that yields the contradictions in ``result.dataset``.
    """
    data, donors = result.config.get("data"), result.donors
    share = data.get("foreign", 0.0) if isinstance(data, dict) else 0.0
    if bool(share) != (donors is not None):
        yield f"result.donors: {'missing' if donors is None else 'present'}, but config.data.foreign is {share!r:.40}"
    if donors is None:
        return
    if unknown := sorted(set(donors) - set(Donors.__annotations__)):
        yield f"result.donors.{unknown[0]:.40}: unknown field"
    if donors["name"] not in (*DATASETS.names(), PeopleFolder.name):
        yield f"result.donors.name: unknown data set '{donors['name']:.40}'"
    for fault in identity_faults(replace(result, dataset=cast(DatasetIdentity, donors))):
        if not fault.startswith("result.folds"):  # they are those of the training data
            yield fault.replace("result.dataset", "result.donors", 1)
    if not 0 <= donors["repeated"] < 1:
        yield f"result.donors.repeated: {donors['repeated']} is not a share below 1"
    if donors["fingerprint"] == result.dataset["fingerprint"]:
        yield "result.donors.fingerprint: that of the training images"
    if same_people(donors["synthetic"], result.dataset["synthetic"]):
        yield "result.donors.synthetic: the seed of the training people, who are the same people"
    if result.trained_on is not None:
        yield "result.donors: present, but the training images are those of result.trained_on"
