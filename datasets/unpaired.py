"""Unpaired training people: their visible images are replaced by as many images of other people, the donors.

The infrared images stay. So do the number of training people, and the number of visible images of each person and
camera. The rule is that of ``docs/robustness.md``; the paper that it follows (SMC, arXiv 2609.34294) leaves parts of it
open.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from usvi_bench.core.errors import UsageError
from usvi_bench.core.seeding import numpy_generator
from usvi_bench.datasets.base import Dataset, ImageTable, Split

PURPOSE = "unpaired"
UNPAIRED = "unpaired-"
"""Start of the fingerprint of unpaired training images."""
FIRST_IDENTITY = 10_000
"""Smallest identity of a donor in a training table, for diagnosis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpairedTable(ImageTable):
    """Unpaired table: a visible table in which images of donors have the place of some images.

    Cameras are those of the places. Paths in ``rows`` are relative to the root of ``donors``, others to ``root``.

    Attributes:
        own: the table before the replacement.
        donors: all images of the donors that are paired with a person.
        donor_fingerprint: content hash of the data set of the donors.
        rows: ``[M]`` rows that are replaced.
        picks: ``[M]`` rows of ``donors`` that replace them.
    """

    own: ImageTable
    donors: ImageTable
    donor_fingerprint: str
    rows: NDArray[np.int64]
    picks: NDArray[np.int64]

    def take(self, rows: slice | NDArray[np.int64]) -> NoReturn:
        """Refuse: a training uses the whole table."""
        raise TypeError("an unpaired table is used as a whole")

    @property
    def repeated(self) -> int:
        """Number of replaced rows whose image is also that of an earlier row."""
        return len(self.picks) - len(np.unique(self.picks))


class UnpairedData(Dataset):
    """Unpaired data: a data set some of whose training people are seen in infrared images only.

    Args:
        base: the data set.
        donors: data set whose visible training images with known identities replace those of people of ``base``.
        share: share of the people of a fold that are replaced.
        seed: seed of the choice of people and images.

    Raises:
        UsageError: there are fewer donors than training people that both modalities show, or no such people.
    """

    def __init__(self, base: Dataset, donors: Dataset, share: float, seed: int) -> None:
        self.name, self.root, self.folds = base.name, base.root, base.folds  # type: ignore[misc]  # that of the instance
        self.synthetic = base.synthetic
        self.fingerprint = unpaired_fingerprint(base.fingerprint, donors.fingerprint)
        self._base, self._share, self._seed = base, share, seed
        images = donors.train(donors.folds[0]).visible
        self._donor_images = len(images)
        self._donors = images.take(np.flatnonzero(images.identities >= 0))
        self._donor_fingerprint = donors.fingerprint
        self._tables: dict[int, UnpairedTable] = {}

    def train(self, fold: int = 1) -> Split:
        """Return the training images of a fold, with those of donors."""
        return Split(self._table(fold), self._base.train(fold).infrared)

    def test(self, fold: int = 1) -> Split:
        """Return the test images of a fold, which are those of the data set."""
        return self._base.test(fold)

    def repeated(self, folds: Iterable[int]) -> float:
        """Return the share of the replaced images of some folds that repeat an image of the same fold."""
        tables = [self._table(fold) for fold in folds]
        return sum(table.repeated for table in tables) / max(1, sum(len(table.rows) for table in tables))

    def _table(self, fold: int) -> UnpairedTable:
        if fold not in self._tables:
            self._tables[fold] = self._replace(self._base.train(fold), fold)
        return self._tables[fold]

    def _replace(self, split: Split, fold: int) -> UnpairedTable:
        own = split.visible
        known = np.intersect1d(own.identities, split.infrared.identities)
        slots = {int(person): int((own.identities == person).sum()) for person in known[known >= 0]}
        given = count_people(self._donors)
        if not slots:
            raise UsageError("data.foreign: no training person is seen in both modalities; give their identities")
        if not given:
            raise UsageError(
                f"--donors: none of {self._donor_images} visible images names a person; give a folder for each person, "
                "names such as 0002_c1s1_000451_03.jpg, or a table with the column identity"
            )
        if len(given) < len(slots):
            raise UsageError(
                f"--donors: {len(given)} people with visible images for {len(slots)} training people of fold {fold}; "
                "give a data set of more people"
            )
        pairs = pair_donors(slots, given)
        images = self._donors.take(np.flatnonzero(np.isin(self._donors.identities, list(pairs.values()))))
        first = max(FIRST_IDENTITY, int(own.identities.max()) + 1, int(split.infrared.identities.max()) + 1)
        number = {person: first + rank for rank, person in enumerate(pairs)}
        rows, picks, identities = [], [], own.identities.copy()
        for person in chosen_people(slots, self._share, self._seed, fold):
            places = np.flatnonzero(own.identities == person)
            album = np.flatnonzero(images.identities == pairs[person])
            rows.append(places)
            picks.append(album[pick_images(len(places), len(album), self._seed, fold, person)])
            identities[places] = number[person]
        places, album = (np.concatenate([np.empty(0, np.int64), *parts]) for parts in (rows, picks))
        names = list(own.paths)
        for row, pick in zip(places.tolist(), album.tolist(), strict=True):
            names[row] = images.paths[pick]
        return UnpairedTable(
            modality="visible",
            root=own.root,
            paths=tuple(names),
            identities=identities,
            cameras=own.cameras,
            own=own,
            donors=images,
            donor_fingerprint=self._donor_fingerprint,
            rows=places,
            picks=album,
        )


def unpaired_fingerprint(base: str, donors: str) -> str:
    """Return the fingerprint of training images, from those of the data set and of the donors."""
    return f"{UNPAIRED}{hashlib.sha256(f'{base} {donors}'.encode()).hexdigest()[:16]}"


def count_people(table: ImageTable) -> dict[int, int]:
    """Return the number of images of each person of a table."""
    people, counts = np.unique(table.identities, return_counts=True)
    return dict(zip(people.tolist(), counts.tolist(), strict=True))


def chosen_people(people: Iterable[int], share: float, seed: int, fold: int) -> list[int]:
    """Choose a share of the people. A larger share has the people of a smaller one, and more.

    >>> chosen_people(range(1, 21), 0.25, 0, 1)
    [8, 17, 2, 4, 13]
    """
    known = sorted(people)
    order = numpy_generator(seed, PURPOSE, fold).permutation(known).tolist()
    return [int(person) for person in order[: round(share * len(known))]]


def pair_donors(slots: Mapping[int, int], donors: Mapping[int, int]) -> dict[int, int]:
    """Pair each person with a donor: both are ordered by their number of images, the most first.

    >>> pair_donors({1: 3, 2: 9, 3: 3}, {7: 5, 8: 1, 9: 6, 10: 2})
    {2: 9, 1: 7, 3: 10}

    Args:
        slots: number of visible images of each person.
        donors: number of images of each donor; at least as many donors as people.
    """

    def ranked(counts: Mapping[int, int]) -> list[int]:
        return sorted(counts, key=lambda person: (-counts[person], person))

    return dict(zip(ranked(slots), ranked(donors), strict=False))


def pick_images(slots: int, images: int, seed: int, fold: int, person: int) -> NDArray[np.int64]:
    """Pick the image of each slot: all images of the donor in random order, again and again.

    >>> pick_images(6, 4, 0, 1, 5).tolist()[:4]
    [0, 2, 1, 3]

    Args:
        slots: number of images to replace.
        images: number of images of the donor.
        seed: seed of the choice.
        fold: fold of the person.
        person: identity of the person.
    """
    generator = numpy_generator(seed, PURPOSE, "images", fold, person)
    rounds = [generator.permutation(images) for _ in range(-(-slots // images))]
    return np.concatenate([np.empty(0, np.int64), *rounds])[:slots]
