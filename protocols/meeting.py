"""People whose visible and infrared images meet: their mean features are mutual nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Meeting:
    """Meeting of the modalities in the feature space.

    Attributes:
        people: number of people with images of both modalities.
        met: number of them whose visible and infrared mean features are mutual nearest neighbours.
    """

    people: int
    met: int


def count_meeting(features: NDArray[np.float32], identities: NDArray[np.int64], infrared: NDArray[np.bool_]) -> Meeting:
    """Count the people whose images of the two modalities meet.

    The features of a person are averaged in each modality. The person is counted if, by cosine similarity, the infrared
    mean is the nearest to the visible one among all infrared means, and the reverse.

    >>> features = np.array([[1.0, 0.1], [1.0, 0.0], [0.0, 1.0], [0.9, 0.2]], np.float32)
    >>> count_meeting(features, np.array([3, 3, 4, 4]), np.array([False, True, False, True]))
    Meeting(people=2, met=1)

    Args:
        features: ``[N, D]`` unit features.
        identities: ``[N]`` identities; negative ones are left out.
        infrared: ``[N]`` whether an image is infrared.
    """
    people = np.intersect1d(identities[~infrared], identities[infrared])
    people = people[people >= 0]
    if not len(people):
        return Meeting(0, 0)
    visible, thermal = (_means(features[side], identities[side], people) for side in (~infrared, infrared))
    similarity = visible @ thermal.T
    own = np.arange(len(people))
    mutual = (similarity.argmax(axis=1) == own) & (similarity.argmax(axis=0) == own)
    return Meeting(len(people), int(mutual.sum()))


def _means(
    features: NDArray[np.float32], identities: NDArray[np.int64], people: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Average the features of each person, as unit vectors ``[P, D]``."""
    kept = np.isin(identities, people)
    sums = np.zeros((len(people), features.shape[1]))
    np.add.at(sums, np.searchsorted(people, identities[kept]), features[kept].astype(np.float64))
    unit: NDArray[np.float64] = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    return unit
