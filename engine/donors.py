"""Donors: the data set whose people take the place of training people in visible images."""

from __future__ import annotations

from collections.abc import Callable

from usvi_bench.core.errors import UsageError, show
from usvi_bench.core.paths import expanded
from usvi_bench.datasets.base import Dataset
from usvi_bench.datasets.folder import FolderData
from usvi_bench.datasets.open import DataSource
from usvi_bench.datasets.people_folder import PeopleFolder
from usvi_bench.datasets.unpaired import UnpairedData
from usvi_bench.engine.config import DataConfig
from usvi_bench.engine.transfer import find_training_data, places_of, same_people, tables_of

MOST_REPEATED = 0.5
"""Share of repeated images above which a run prints a warning: equal images cluster by themselves."""


def check_asked(donors: str | None, train_data: str | None, config: DataConfig) -> None:
    """Refuse donors without a share of people to replace, and the reverse.

    Raises:
        UsageError: names the missing option.
    """
    if config.foreign and donors is None:
        raise UsageError(f"data.foreign={config.foreign}: give the people whose images are used with --donors")
    if donors is not None and not config.foreign:
        raise UsageError("--donors: state the share of people to replace, for example --set data.foreign=0.5")
    if donors is not None and train_data is not None:
        raise UsageError("--donors replaces images of --data, which is not trained on: leave out --train-data")


def find_donors(spec: str, kind: str, progress: Callable[[str], None]) -> DataSource:
    """Find the data set of ``--donors``, without reading its images.

    Args:
        spec: folder of a data set, folder or table of own images, folder of visible images of people, or
            ``synthetic[:size=...,seed=...]``.
        kind: registered name of the data set that is trained on; synthetic people have its layout, if there is one.
        progress: receives messages.

    Raises:
        UsageError: there is no data set, or the text is ``auto``.
    """
    try:
        return find_training_data(spec, kind, progress, "--donors")
    except UsageError:
        folder = expanded(spec)
        if PeopleFolder.recognises(folder):
            return DataSource(PeopleFolder, folder, spec)
        raise


def replace_people(base: Dataset, donors: Dataset, config: DataConfig, report: Callable[[str], None]) -> UnpairedData:
    """Check the donors, and return the training data with their images.

    Args:
        base: data set to train on and to score.
        donors: data set of the donors.
        config: settings with the share and the seed.
        report: receives the share of repeated images.

    Raises:
        UsageError: donors are people of ``base``, or there are too few.
    """
    if base.fingerprint == donors.fingerprint:
        raise UsageError("--donors and --data are the same images: give other people")
    if same_people(base.synthetic, donors.synthetic):
        raise UsageError("--donors and --data are synthetic people of one seed, the same people; give another seed")
    if isinstance(base, FolderData) and isinstance(donors, FolderData):
        both = sorted((base.train_people | base.test_people) & donors.train_people)
        if both:
            raise UsageError(f"--donors: person {show(both[0])} is in --data too; give different people other names")
    tables = [table for part in ("train", "test") for table in tables_of(base, base.folds, part)]
    own = {place for table in tables for place in places_of(table)}
    for table in tables_of(donors, donors.folds[:1], "train"):
        for place in places_of(table):
            if place in own:
                raise UsageError(f"--donors: {place} is an image of --data; give images of other people")
    made = UnpairedData(base, donors, config.foreign, config.foreign_seed)
    folds = [fold for fold in config.folds or base.folds if fold in base.folds]
    share = made.repeated(folds)
    text = f"visible images of {config.foreign:.0%} of the people are replaced; {share:.0%} of these are repeated"
    if share > MOST_REPEATED:
        text += "; equal images form clusters of their own: give donors with more images"
    report(text)
    return made
