"""What do people search next? Queries that followed this one within a visit, told by enough different people.

    visit: "tent" -> "tent pegs" -> "camping stove"        (tent -> tent pegs), (tent pegs -> camping stove)

A pair counts once a person, and only pairs that at least `people` different ones made are kept: fewer could tell who
did (k-anonymity), and chance. Spellings with the same words are one query, shown as it is typed most. Pairs are ordered
by how much more often than by chance the second follows (people who made the pair / square root of its own people), so
that the shop's most frequent query does not follow everything.
Cost: one pass over the log's searches; a look-up in a dictionary. Not for: completing what is being typed.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Self

import msgspec
import numpy as np

from bodega.schema import Log
from bodega.understanding import language

KEPT = 8
"""Following queries of each query."""
LONGEST = 80
"""Characters of a query that is worth offering."""


class Following:
    """Next queries. Needs: a log with queries. Silent where few people search the same."""

    def __init__(self, held: dict[str, tuple[str, ...]] | None = None) -> None:
        self._held = held or {}

    @classmethod
    def of(cls, log: Log, people: int) -> Self:
        """Learn from the queries of each visit, in their order."""
        keys, shown = _keys(log)
        asked = np.flatnonzero(log.query >= 0)
        order = asked[np.lexsort((log.time[asked], log.session[asked]))]
        codes = keys[log.query[order]]
        sessions, users = log.session[order], log.user[order]
        step = np.flatnonzero(
            (sessions[1:] == sessions[:-1]) & (codes[1:] != codes[:-1]) & (codes[1:] >= 0) & (codes[:-1] >= 0)
        )
        triples = (
            np.unique(np.stack([codes[step], codes[step + 1], users[step]], axis=1), axis=0)
            if len(step)
            else np.empty((0, 3), np.int64)
        )
        pairs, count = np.unique(triples[:, :2], axis=0, return_counts=True)
        own = np.unique(np.stack([codes, users], axis=1)[codes >= 0], axis=0)
        known = np.bincount(own[:, 0], minlength=len(shown)) if len(own) else np.zeros(len(shown), np.int64)
        held: dict[str, list[tuple[float, str]]] = {}
        for (first, second), n in zip(pairs.tolist(), count.tolist(), strict=True):
            if n >= people and known[second] >= people:
                held.setdefault(shown[first][0], []).append((n / float(np.sqrt(known[second])), shown[second][1]))
        return cls(
            {key: tuple(text for _, text in sorted(found, key=_best)[:KEPT]) for key, found in sorted(held.items())}
        )

    def after(self, query: str, most: int = 5) -> tuple[str, ...]:
        """The queries that follow this one, likeliest first."""
        return self._held.get(_key(query), ())[:most]

    def save(self, folder: Path) -> None:
        (folder / "following.json").write_bytes(msgspec.json.encode(self._held, order="sorted"))

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls(msgspec.json.decode((folder / "following.json").read_bytes(), type=dict[str, tuple[str, ...]]))


def _best(found: tuple[float, str]) -> tuple[float, str]:
    return -found[0], found[1]


def _key(query: str) -> str:
    return " ".join(language.words(query[:LONGEST]))


def _keys(log: Log) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """(code of each query of the log, -1 where it is not worth offering; (key, spelling) of each code)."""
    times = np.bincount(log.query[log.query >= 0], minlength=len(log.queries))
    code_of: dict[str, int] = {}
    spelled: dict[str, Counter[str]] = {}
    codes = np.full(len(log.queries), -1, np.int64)
    for row, query in enumerate(log.queries):
        key = _key(query) if len(query) <= LONGEST else ""
        if key:
            codes[row] = code_of.setdefault(key, len(code_of))
            spelled.setdefault(key, Counter())[query.strip()] += int(times[row])
    shown = [(key, min(own.items(), key=lambda entry: (-entry[1], entry[0]))[0]) for key, own in spelled.items()]
    return codes, shown
