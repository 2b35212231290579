"""Which words do shoppers use for the same thing? Synonyms mined from what queries led to, for a person to review.

Two queries that differ in one phrase only ("sofa bed" / "couch bed") and lead to the same items say that the phrases
mean the same here. Evidence is the cosine of their clicks; a pair of phrases is proposed when enough different people
asked on both sides, when the clicks agree over all contexts in which the phrases were exchanged, and when neither
phrase is merely the other with a word more ("red sofa" is a kind of sofa, not another word for it).
Nothing mined acts by itself: proposals become rules that are switched off until a merchandiser switches them on.
Cost: one pass over the clicked queries; pairs that share all words but one phrase meet in a dictionary.
Not for: words that nobody clicked on (`dense` finds those), or translations.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from bodega.schema import EVENT_CODES, INTEREST, Log
from bodega.understanding import language

LONGEST_PHRASE = 2
LONGEST_QUERY = 6
AGREEMENT = 0.5
"""Cosine of clicks from which two queries are taken to mean the same."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """Two phrases that seem to mean the same, with the evidence."""

    one: str
    other: str
    agreement: float
    """Mean cosine of the clicks of the queries that differ in them only, weighted by people; 0 to 1."""
    people: int
    """People who asked with the rarer phrase."""
    examples: tuple[tuple[str, str], ...]
    """Pairs of queries, the best known first."""


def mine(log: Log, *, people: int, most: int = 200, agreement: float = AGREEMENT) -> list[Proposal]:
    """Proposals, the surest first. `people`: different people that must have asked on each side."""
    queries, clicks, count = _asked(log, people)
    contexts: dict[tuple[str, ...], list[tuple[tuple[str, ...], int]]] = defaultdict(list)
    for row, words in enumerate(queries):
        for size in range(1, min(LONGEST_PHRASE, len(words)) + 1):
            for at in range(len(words) - size + 1):
                contexts[(*words[:at], "\0", *words[at + size :])].append((words[at : at + size], row))
    found: dict[tuple[str, str], list[tuple[float, int, int]]] = defaultdict(list)
    for members in contexts.values():
        for place, (one, row) in enumerate(members):
            for other, second in members[place + 1 :]:
                if row != second and _distinct(one, other):
                    nearness = float((clicks[row] @ clicks[second].T).toarray()[0, 0])
                    a, b = sorted((" ".join(one), " ".join(other)))
                    found[a, b].append((nearness, row, second))
    proposals = [_proposal(pair, seen, queries, count) for pair, seen in sorted(found.items())]
    sure = [each for each in proposals if each.agreement >= agreement]
    return sorted(sure, key=lambda each: (-each.agreement * np.log1p(each.people), each.one, each.other))[:most]


def _asked(log: Log, people: int) -> tuple[list[tuple[str, ...]], sparse.csr_matrix, list[int]]:
    """(words of the queries that enough people asked, their clicks with rows of length 1, how many people)."""
    keep = (log.query >= 0) & (log.item >= 0) & np.isin(log.type, [EVENT_CODES[name] for name in INTEREST])
    code_of: dict[tuple[str, ...], int] = {}
    codes = np.full(len(log.queries), -1, np.int64)
    for row in np.unique(log.query[keep]).tolist():
        words = tuple(language.words(log.queries[row][:100]))
        if 0 < len(words) <= LONGEST_QUERY:
            codes[row] = code_of.setdefault(words, len(code_of))
    own = codes[log.query[keep]]
    items, users = log.item[keep][own >= 0], log.user[keep][own >= 0]
    own = own[own >= 0]
    n_items = int(items.max(initial=-1)) + 1
    held = sparse.csr_matrix((np.ones(len(own)), (own, items)), shape=(len(code_of), n_items))
    held.sum_duplicates()
    asked = np.unique(np.stack([own, users], axis=1), axis=0) if len(own) else np.empty((0, 2), np.int64)
    count = np.bincount(asked[:, 0], minlength=len(code_of)) if len(asked) else np.zeros(len(code_of), np.int64)
    enough = np.flatnonzero(count >= people)
    length = np.sqrt(np.asarray(held.multiply(held).sum(axis=1)).ravel())
    scaled = sparse.diags(1 / np.maximum(length, 1e-12)) @ held
    names = list(code_of)
    return [names[row] for row in enough.tolist()], sparse.csr_matrix(scaled)[enough], count[enough].tolist()


def _distinct(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Do the phrases share no word? (What they share belongs to the context, in which they meet as well.)"""
    return {language.stem(word) for word in one}.isdisjoint(language.stem(word) for word in other)


def _proposal(
    pair: tuple[str, str], seen: list[tuple[float, int, int]], queries: list[tuple[str, ...]], count: list[int]
) -> Proposal:
    weights = [min(count[row], count[second]) for _, row, second in seen]
    nearness = sum(near * weight for (near, _, _), weight in zip(seen, weights, strict=True)) / sum(weights)
    best = sorted(range(len(seen)), key=lambda at: (-weights[at], seen[at][1:]))[:3]
    examples = tuple((" ".join(queries[seen[at][1]]), " ".join(queries[seen[at][2]])) for at in best)
    return Proposal(*pair, agreement=round(nearness, 4), people=max(weights), examples=examples)
