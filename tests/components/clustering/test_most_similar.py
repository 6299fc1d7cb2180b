from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from usvi_bench.components.clustering import most_similar as module
from usvi_bench.components.clustering.most_similar import most_similar


def whole(rows: int, width: int, seed: int) -> Tensor:
    """Small whole numbers, whose products are exact and often equal."""
    return torch.randint(-1, 2, (rows, width), generator=torch.Generator().manual_seed(seed)).float()


def naive(queries: Tensor, keys: Tensor, k: int) -> list[list[int]]:
    found = []
    for query in queries.tolist():
        products = [sum(a * b for a, b in zip(query, key, strict=True)) for key in keys.tolist()]
        found.append(sorted(range(len(products)), key=lambda row: (-products[row], row))[:k])
    return found


@given(st.integers(1, 12), st.integers(1, 15), st.integers(1, 3), st.data())
def test_lists_are_those_of_a_full_sort_with_smaller_rows_first_among_equals(
    n: int, m: int, width: int, data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, m))
    queries, keys = whole(n, width, n), whole(m, width, 100 + m)
    products, rows = most_similar(queries, keys, k)
    assert rows.tolist() == naive(queries, keys, k)
    assert products.tolist() == [
        [float(query @ keys[row]) for row in own] for query, own in zip(queries, rows, strict=True)
    ]


def test_blocks_of_any_size_give_the_same_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, keys = whole(23, 4, 0), whole(19, 4, 1)
    own = torch.arange(22, 3, -1)  # each key is a query, too
    expected = most_similar(queries, keys, 5), most_similar(queries, queries[own], 5, own)
    for entries in (1, 40, 19 * 22):
        monkeypatch.setattr(module, "_BLOCK_ENTRIES", entries)
        found = most_similar(queries, keys, 5), most_similar(queries, queries[own], 5, own)
        assert all(torch.equal(a, b) for pair in zip(found, expected, strict=True) for a, b in zip(*pair, strict=True))


def test_equal_rows_alone_are_all_ties() -> None:
    assert most_similar(torch.ones(3, 2), torch.ones(9, 2), 4)[1].tolist() == [[0, 1, 2, 3]] * 3


def test_a_unit_row_is_first_in_its_own_list() -> None:
    rows = torch.nn.functional.normalize(torch.randn(50, 8, generator=torch.Generator().manual_seed(0)))
    assert most_similar(rows, rows, 3)[1][:, 0].tolist() == list(range(50))


def test_a_unit_row_comes_before_its_copies_if_keys_are_named() -> None:
    rows = torch.nn.functional.normalize(torch.randn(3, 8, generator=torch.Generator().manual_seed(0)))
    rows = rows.repeat(9, 1)
    own = torch.arange(26, -1, -1)
    found = most_similar(rows, rows[own], 3, own)[1]
    assert own[found[:, 0]].tolist() == list(range(27))


@pytest.mark.parametrize("k", [0, 8])
def test_a_length_out_of_range_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match=rf"k={k} most similar of 7 rows; choose 1 to 7"):
        most_similar(whole(4, 2, 0), whole(7, 2, 1), k)
