"""People whose modalities meet, compared with a loop over pairs of people."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from usvi_bench.protocols.meeting import Meeting, count_meeting


@given(st.integers(0, 10_000), st.integers(1, 8))
def test_the_count_equals_a_loop(seed: int, people: int) -> None:
    random = np.random.default_rng(seed)
    features = random.normal(size=(40, 5)).astype(np.float32)
    identities, infrared = random.integers(-1, people, 40), random.random(40) < 0.5
    means = {}
    for person in set(identities.tolist()) - {-1}:
        for side in (False, True):
            own = [row for row in range(40) if identities[row] == person and infrared[row] == side]
            if own:
                means[person, side] = np.mean([features[row] for row in own], axis=0)
    both = [person for person in range(people) if {(person, False), (person, True)} <= means.keys()]

    def near(one: tuple[int, bool], other: tuple[int, bool]) -> float:
        first, second = means[one].astype(float), means[other].astype(float)
        return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))

    met = 0
    for person in both:
        own = near((person, False), (person, True))
        met += all(own >= near((person, False), (other, True)) for other in both) and all(
            own >= near((other, False), (person, True)) for other in both
        )
    assert count_meeting(features, identities, infrared) == Meeting(len(both), met)


def test_nobody_with_both_modalities() -> None:
    features = np.eye(2, dtype=np.float32)
    assert count_meeting(features, np.array([0, 1]), np.array([False, True])) == Meeting(0, 0)
    assert count_meeting(features, np.array([-1, -1]), np.array([False, True])) == Meeting(0, 0)
