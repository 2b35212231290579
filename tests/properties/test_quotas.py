"""Quotas of kinds, whatever the list: nothing is lost, no most is passed while anything else is left, least holds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bodega.ranking.quotas import Quota, arranged

LABELS = st.lists(st.integers(-1, 3), max_size=60)  # 3: a kind that this place does not bound
QUOTA = st.builds(
    lambda least, more: Quota(least, None if more is None else least + more),
    st.integers(0, 3),
    st.one_of(st.none(), st.integers(0, 4)),
)
QUOTAS = st.fixed_dictionaries({0: QUOTA, 1: QUOTA, 2: QUOTA})


@given(LABELS, QUOTAS, st.integers(1, 12))
def test_every_page_is_inside_its_quotas(labels: list[int], quotas: dict[int, Quota], page: int) -> None:
    given_labels = np.asarray(labels, np.int32)
    found = arranged(given_labels, quotas, page, len(labels))
    assert sorted(found.order.tolist()) == list(range(len(labels)))  # nothing lost, nothing twice
    new = given_labels[found.order]
    for start in range(0, len(new), page):
        own, rest = new[start : start + page].tolist(), new[start + page :].tolist()
        owed = sum(min(quota.least, own.count(label) + rest.count(label)) for label, quota in quotas.items())
        for label, quota in quotas.items():
            if owed <= len(own):
                assert own.count(label) >= min(quota.least, own.count(label) + rest.count(label))
            if quota.most is not None and own.count(label) > quota.most:  # only where all else has its most, too
                others = [each for each in rest if each not in quotas or not _full(quotas[each], own.count(each))]
                assert not others


@given(LABELS, QUOTAS, st.integers(1, 12))
def test_items_of_a_kind_keep_their_order(labels: list[int], quotas: dict[int, Quota], page: int) -> None:
    found = arranged(np.asarray(labels, np.int32), quotas, page, len(labels))
    for label in set(labels):
        own = [place for place in found.order.tolist() if labels[place] == label]
        assert own == sorted(own)


@given(LABELS, QUOTAS, st.integers(1, 12), st.integers(0, 60))
def test_a_page_does_not_depend_on_how_far_is_looked(
    labels: list[int], quotas: dict[int, Quota], page: int, reach: int
) -> None:
    given_labels = np.asarray(labels, np.int32)
    whole, part = arranged(given_labels, quotas, page, len(labels)), arranged(given_labels, quotas, page, reach)
    upto = min(reach, len(labels))
    assert whole.order[:upto].tolist() == part.order[:upto].tolist()


def test_without_bounds_the_list_stays() -> None:
    found = arranged(np.asarray([0, 1, -1, 0], np.int32), {0: Quota(), 1: Quota()}, 2, 4)
    assert found.order.tolist() == [0, 1, 2, 3]
    assert not len(found.lifted)


def _full(quota: Quota, count: int) -> bool:
    return quota.most is not None and count >= quota.most
