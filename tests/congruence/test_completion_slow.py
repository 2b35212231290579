"""Completion against the plain way to do it: look at every entry, keep those that fit, sort.

The limits that make the fast one fast (stored lists for frequent beginnings, walks that stop) are made small, so that
a shop of a few hundred titles goes through all of them.
"""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from bodega.retrieval.lexical import completion
from bodega.retrieval.lexical._beginnings import SHORTEST, letters_of, near
from bodega.retrieval.lexical.completion import HEAD, KINDS, PROOFS, TASTE, Completer, Taste
from bodega.schema import Item, ItemTable
from bodega.understanding import language
from bodega.understanding.query.habits import Asked

WORDS = [
    "red",
    "reed",
    "read",
    "ready",
    "shoe",
    "shoes",
    "shoelace",
    "show",
    "blue",
    "black",
    "block",
    "blocks",
    "usb",
    "cable",
    "cables",
    "table",
    "4k",
    "55",
    "tablet",
]


def fits(word: str, typed: str, *, complete: bool) -> bool:
    return word == typed if complete else word.startswith(typed)


def almost(word: str, typed: str, *, complete: bool) -> bool:
    """Is the word, or a beginning of it, exactly one error from what was typed, the first letter being right?"""
    if len(typed) < SHORTEST or not typed.isalpha() or fits(word, typed, complete=complete):
        return False
    beginnings = [word] if complete else [word[:end] for end in range(1, len(word) + 1)]
    return any(part[0] == typed[0] and OSA.distance(typed, part) == 1 for part in beginnings)


def slow(held: Completer, typed: str, k: int, shown: np.ndarray, alike: np.ndarray | None) -> list[str]:
    """The texts of the best k: every entry is looked at."""
    entries = held.entries
    names = list(entries.vocabulary)
    said = [
        [names[word] for word in entries.words[entries.word_starts[row] : entries.word_starts[row + 1]]]
        for row in range(len(entries))
    ]
    proofs = [entries.items[entries.item_starts[row] : entries.item_starts[row + 1]] for row in range(len(entries))]
    words = language.words(typed)
    ends = [place < len(words) - 1 or not typed[-1:].isalnum() for place in range(len(words))]
    if not words:
        return []

    def matching(tests) -> list[int]:
        rows = []
        for row in range(len(entries)):
            if all(any(test(word) for word in said[row]) for test in tests) and shown[proofs[row]].any():
                rows.append(row)
        return rows[: completion.HEAD]

    def exactly(word, end):
        return lambda other: fits(other, word, complete=end)

    def loosely(word, end):
        return lambda other: fits(other, word, complete=end) or almost(other, word, complete=end)

    tests = [exactly(word, end) for word, end in zip(words, ends, strict=True)]
    rows = matching(tests)
    if not rows:
        leads = [any(test(name) for name in names) for test in tests]
        some = [loosely(word, end) for word, end in zip(words, ends, strict=True)]
        tests = (
            some if all(leads) else [one if fine else two for one, two, fine in zip(tests, some, leads, strict=True)]
        )
        rows = matching(tests)

    def place(row: int) -> tuple:
        begins = len(said[row]) >= len(tests) and all(test(word) for test, word in zip(tests, said[row], strict=False))
        cost = -float(entries.weight[row])
        if alike is not None:
            first = proofs[row][:PROOFS]
            cost -= TASTE * float(alike[first].sum()) / len(first)
        return (not begins, int(entries.kind[row]), round(cost, 9), row)

    return [entries.texts[row] for row in sorted(rows, key=place)[:k]]


def shop(rng: random.Random, count: int) -> Completer:
    items = [
        Item(
            id=str(row),
            title=" ".join(rng.choices(WORDS, k=rng.randint(1, 4))),
            brand=rng.choice(["Redline", "Shoeworks", "Usbeco", ""]),
            category=tuple(rng.sample(["Shoes", "Cables", "Reading", "Tables"], rng.randint(0, 2))),
        )
        for row in range(count)
    ]
    seen = np.log1p([rng.choice([0, 0, 1, 5, 20, 20, 300]) for _ in items]).astype(np.float32)
    queries = [Asked(" ".join(words), tuple(words), 20 + rng.randrange(9), ()) for words in _some(rng)]
    return Completer.of(ItemTable.of(items), seen, queries, lambda query: np.array([len(query) % count], np.int32))


def _some(rng: random.Random) -> list[list[str]]:
    return [rng.sample(WORDS, rng.randint(1, 2)) for _ in range(6)]


def typed_by(rng: random.Random, held: Completer) -> str:
    text = held.entries.texts[rng.randrange(len(held))].lower()
    typed = text[: rng.randint(1, len(text))]
    if rng.random() < 0.5 and len(typed) > 2:
        place = rng.randrange(1, len(typed))
        typed = rng.choice([typed[:place] + typed[place + 1 :], typed[:place] + "e" + typed[place:]])
    return typed + rng.choice(["", "", " "])


@pytest.mark.parametrize("limits", [(20_000, 200), (6, 200), (6, 4)], ids=["as served", "all heavy", "short walks"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000))
def test_completion_is_what_a_look_at_every_entry_gives(monkeypatch, limits, seed):
    monkeypatch.setattr(completion, "HEAVY", limits[0])
    monkeypatch.setattr(completion, "HEAD", limits[1])
    rng = random.Random(seed)
    held = shop(rng, rng.choice([3, 20, 150]))
    n_items = len(held.seen)
    for _ in range(12):
        shown = np.array([rng.random() < 0.8 for _ in range(n_items)])
        alike = np.array([rng.random() < 0.3 for _ in range(n_items)])
        taste = Plain(alike) if rng.random() < 0.5 else None
        typed, k = typed_by(rng, held), rng.choice([1, 3, 8])
        found = held.complete(typed, k, shown=shown, taste=taste)
        assert [entry.text for entry in found] == slow(held, typed, k, shown, alike if taste else None), typed
        assert found == sorted(found)


class Plain(Taste):
    """A taste that is told which items are alike."""

    def __init__(self, flags: np.ndarray) -> None:
        object.__setattr__(self, "flags", flags)

    def alike(self, items):
        return self.flags[items]

    __slots__ = ("flags",)


@given(
    st.lists(st.text("abcdé", min_size=1, max_size=9), min_size=1, max_size=40, unique=True),
    st.text("abcdé", min_size=1, max_size=8),
    st.booleans(),
)
def test_near_beginnings_are_those_of_a_plain_scan(words, typed, complete):
    words.sort()
    found = near(letters_of(words), typed, complete=complete)
    assert [words[row] for row in found] == [word for word in words if almost(word, typed, complete=complete)]


def test_the_limits_are_those_of_the_module():
    assert HEAD >= 8
    assert KINDS == ("query", "category", "brand", "title")
