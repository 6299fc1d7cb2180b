"""Order of methods: Holm's correction and Kendall's tau against loops over their definitions."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tests.leaderboard.records import make_record
from usvi_bench.core.record import write_record
from usvi_bench.leaderboard.significance import holm
from usvi_bench.reports.pages.order_tables import (
    agreement_table,
    halves_tau,
    order_tau,
    paired_tests,
    pooled_tests,
    resampled_tau,
)
from usvi_bench.reports.pages.sources import PEOPLE, Sources
from usvi_bench.synthetic.spec import SyntheticSpec


def scores(seeds: int, methods: int, spread: float, start: int = 0) -> pd.DataFrame:
    """Make scores whose means are 10 apart."""
    noise = np.random.default_rng(start).normal(scale=spread, size=(seeds, methods))
    return pd.DataFrame(10.0 * np.arange(methods) + noise, columns=[f"m{at}" for at in range(methods)])


def test_holm_rejects_one_hypothesis_after_another() -> None:
    values = [0.001, 0.2, 0.012, 0.03, 0.012, 0.9]
    for level in (0.01, 0.05, 0.06, 0.5):
        rejected = []
        for place, index in enumerate(sorted(range(6), key=lambda at: values[at])):
            if values[index] > level / (6 - place):
                break
            rejected.append(index)
        assert [at for at, p in enumerate(holm(values)) if p <= level] == sorted(rejected)
    assert holm([]) == []


def test_distinguished_pairs_are_counted() -> None:
    apart = scores(5, 4, 0.5)
    for test in (paired_tests, pooled_tests):
        assert count(test(apart)) == 6
    apart["m1"] = apart["m0"] + [0.1, -0.1, 0.2, -0.2, 0.05]
    for test in (paired_tests, pooled_tests):
        assert count(test(apart)) == 5
    assert count(paired_tests(scores(2, 4, 0.5))) == 0, "two seeds are too few for a variance of each pair"


def count(values: list[float]) -> int:
    return sum(p < 0.05 for p in holm(values))


def test_two_methods_have_the_same_p_value_with_a_shared_variance() -> None:
    found = scores(5, 2, 8)
    expected = stats.ttest_rel(found["m0"], found["m1"]).pvalue
    assert pooled_tests(found) == pytest.approx([expected])
    assert paired_tests(found) == pytest.approx([expected])


def test_the_shared_variance_is_that_of_the_residuals() -> None:
    found = scores(4, 3, 8)
    seeds, methods = range(4), found.columns
    whole = np.mean([found[m][s] for m in methods for s in seeds])
    squares = 0.0
    for m in methods:
        for s in seeds:
            squares += (found[m][s] - found[m].mean() - np.mean([found[k][s] for k in methods]) + whole) ** 2
    error = np.sqrt(squares / (3 * 2) * (1 / 4 + 1 / 4))
    t = (found["m2"].mean() - found["m0"].mean()) / error
    assert pooled_tests(found)[1] == pytest.approx(2 * stats.t.sf(t, 3 * 2))


def test_tau_is_that_of_scipy_with_and_without_ties() -> None:
    generator = np.random.default_rng(3)
    for values in (generator.normal(size=(2, 20, 7)), generator.integers(3, size=(2, 20, 7)).astype(float)):
        expected = [stats.kendalltau(one, other).statistic for one, other in zip(*values, strict=True)]
        np.testing.assert_allclose(order_tau(*values), expected, atol=1e-12)


def test_tau_counts_pairs_in_equal_order() -> None:
    first, second = scores(3, 6, 8), scores(4, 6, 8, start=1)
    one, other = first.mean().to_numpy(), second.mean().to_numpy()
    alike = [np.sign((one[a] - one[b]) * (other[a] - other[b])) for a, b in combinations(range(6), 2)]
    assert resampled_tau(first, second)[0] == pytest.approx(np.mean(alike))
    assert resampled_tau(first, first[first.columns[::-1]])[0] == pytest.approx(1), "columns are matched by name"
    assert resampled_tau(first, -first)[0] == pytest.approx(-1)


def test_the_interval_is_that_of_resampled_seeds() -> None:
    clear, noisy = scores(5, 6, 0.1), scores(5, 6, 20)
    assert resampled_tau(clear, clear) == pytest.approx((1, 1, 1))
    tau, low, high = resampled_tau(clear, noisy)
    assert low < high
    assert low <= tau <= high
    assert resampled_tau(clear, noisy) == (tau, low, high), "equal draws in every call"
    published = clear.mean().to_frame().T
    assert resampled_tau(clear, published) == pytest.approx((1, 1, 1))


def test_seeds_are_halved_in_every_way() -> None:
    found = scores(4, 5, 15)
    values, others = found.to_numpy(), {1: (2, 3), 2: (1, 3), 3: (1, 2)}
    every = [
        float(order_tau(values[[0, at]].mean(axis=0), values[[*rest]].mean(axis=0))) for at, rest in others.items()
    ]
    assert sorted(halves_tau(found)) == pytest.approx(sorted(2 * every))
    assert len(halves_tau(scores(5, 5, 15))) == 10


def test_other_people_have_their_own_scores(tmp_path: Path) -> None:
    for people, means in ((PEOPLE, (0.2, 0.3, 0.4)), (7, (0.4, 0.3, 0.2))):
        spec = {"synthetic": {"generator_version": 1, "spec": SyntheticSpec(size="small", seed=people).note()}}
        for method, mean in zip(("adca", "pgm", "hil"), means, strict=True):
            for seed in (0, 1):
                data = {"name": "sysu", "fingerprint": str(people), **spec, "knobs": {}, "description": "people"}
                file = tmp_path / "records" / f"{method}-{people}-{seed}.json"
                write_record(file, make_record(method, seed, [mean + 0.01 * seed], dataset=data))
    sources = Sources(tmp_path)
    assert sources.scores("sysu_all", "pgm").tolist() == pytest.approx([30.4, 31.4])
    assert sources.scores("sysu_all", "adca", people=7).tolist() == pytest.approx([40.4, 41.4])
    table = agreement_table("orders", [], [], {"sysu_all": 7})
    assert [*table.rows(sources)] == [[f"`sysu_all`, people {PEOPLE} and 7", "3", "-1.00", "-1.00", "-1.00"]]
