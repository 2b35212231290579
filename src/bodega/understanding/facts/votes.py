"""What do all words of an item say together of a value that no text names? "Men > Tops", "MH01", "stripe" have votes.

Idea: the words of title and description, every level of the category path and the letters that an article number
begins with are tokens; one logistic regression a value weighs them (one against the rest, so that a column of several
values is judged value by value). Products vote, not variants, and each product is judged by votes that it did not take
part in (cross-fitting); what a vote is worth is for `belief` to say. Evidence stays named: the tokens that weigh most,
each with how many of the products that have it have the value.
Cost: 2,000 products, 40 values about 2 s; .05 ms an item. Not for: colours and sizes, which differ between variants.
Papers: Rifkin & Klautau 2004 (one against all); Wolpert 1992 (stacking); Nesterov 1983 (the solver).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bodega.schema.facts import FactEvidence, How
from bodega.understanding.facts.passages import Passage
from bodega.understanding.language import STOP_WORDS

Array = NDArray[np.float64]
Place = tuple[str, int, int, str]
"""(field, start, end, text) of a token."""
FOLDS = 5
TAUGHT = 2_000
"""Products that one regression is taught by, at most."""
FEWEST, LEAST = 30, 5
"""Products that must have the column, and a value of it, to be learned."""
MOST_VALUES, MOST_TOKENS = 40, 4_000
TOKEN_LEAST = 3
"""Products that must have a token."""
PENALTY = 0.1
"""Ridge of the weights, in products."""
ROUNDS = 150
LIKELY = 0.4
"""Values with a lower vote are no candidates on their own."""
SMALL = 0.02
"""Weights below are not kept."""
_WEIGHT = {"category": 3.0, "code": 3.0, "title": 1.0, "word": 0.5}
"""Chosen, with PENALTY, by the likelihood of five columns of the products of Luma's folds 0 and 1 (12.4 nats a product
with 2, 1.5, 1.5 and 1; 11.2 with these). Other columns of the item added nothing (12.41 to 12.40)."""


class Vote(msgspec.Struct, frozen=True, array_like=True):
    """How much a token says for a value; of the `had` products with it (and the column) `have` have the value."""

    value: int
    weight: float
    have: int
    had: int


class Token(msgspec.Struct, frozen=True, array_like=True):
    """`scale`: how much its presence counts."""

    scale: float
    votes: list[Vote]


def tokens_of(passages: Iterable[Passage]) -> dict[str, Place]:
    """{token: where it stands}; a token begins with its kind."""
    found: dict[str, Place] = {}
    for one in passages:
        if one.place in ("title", "text"):
            _words(one, found)
        elif one.place == "category":
            _paths(one, found)
        elif one.place == "code":
            letters = one.text[: next((at for at, char in enumerate(one.text) if not char.isalpha()), len(one.text))]
            for size in {1, 2, len(letters)} if letters else ():
                if size <= len(letters):
                    found[f"code\0{letters[:size]}"] = one.field, 0, size, letters[:size]
    return found


def _words(one: Passage, found: dict[str, Place]) -> None:
    """The words of a text; those of a title count on their own too."""
    for word in one.words:
        if (len(word.text) > 1 or not word.text.isascii()) and word.text not in STOP_WORDS:
            place = one.field, word.start, word.end, one.text[word.start : word.end]
            if one.place == "title":
                found.setdefault(f"title\0{word.text}", place)
            found.setdefault(f"word\0{word.text}", place)


def _paths(one: Passage, found: dict[str, Place]) -> None:
    """Every level of the path, and every path down to a level."""
    start = 0
    while start <= len(one.text):
        end = one.text.find(" > ", start)
        end = end if end >= 0 else len(one.text)
        found.setdefault(f"category\0{one.text[start:end]}", (one.field, start, end, one.text[start:end]))
        found.setdefault(f"category\0{one.text[:end]}", (one.field, 0, end, one.text[:end]))
        start = end + 3


class Votes(msgspec.Struct, frozen=True):
    """The regressions of a shop: `values` are (target, value), in the order of the votes' numbers."""

    values: list[tuple[int, str]] = []
    bias: list[float] = []
    tokens: dict[str, Token] = {}


class Ballot:
    """Counts the votes on items."""

    def __init__(self, votes: Votes) -> None:
        self.votes = votes
        self.targets = frozenset(target for target, _ in votes.values)
        self._number = {key: number for number, key in enumerate(votes.values)}
        self._bias = np.array(votes.bias)
        self._row = {name: row for row, name in enumerate(votes.tokens)}
        self._square = [token.scale**2 for token in votes.tokens.values()]
        self._weights = np.zeros((len(votes.tokens), len(votes.values)))
        for row, token in enumerate(votes.tokens.values()):
            for vote in token.votes:
                self._weights[row, vote.value] = vote.weight * token.scale

    def judge(self, found: Iterable[str]) -> dict[tuple[int, str], float]:
        """{(target, value): vote from 0 to 1} of an item with these tokens."""
        rows = [self._row[name] for name in found if name in self._row]
        length = max(1e-9, sum(self._square[row] for row in rows)) ** 0.5
        score = self._bias + self._weights[rows].sum(axis=0) / length
        chance = 1 / (1 + np.exp(-np.clip(score, -30, 30)))
        return dict(zip(self.votes.values, chance.tolist(), strict=True))

    def evidence(self, key: tuple[int, str], found: Mapping[str, Place], most: int = 3) -> list[FactEvidence]:
        """The tokens that speak most for the value, with how many of their products have it."""
        number = self._number[key]
        ranked = []
        for name, place in found.items():
            token = self.votes.tokens.get(name)
            if token is not None:
                ranked += [
                    (-vote.weight * token.scale, name, place, vote.have, vote.had)
                    for vote in token.votes
                    if vote.value == number and vote.weight > 0
                ]
        out: list[FactEvidence] = []
        for _, name, (field, start, end, text), have, had in sorted(ranked):
            if len(out) < most and not any(one.field == field and one.start == start for one in out):
                how: How = "category" if name.startswith("category\0") else "words"
                out.append(FactEvidence(field, start, end, text, how, have, had))
        return out


class Taught:
    """Products and their values, ready to be learned from."""

    def __init__(self, products: Sequence[str], tokens: Sequence[Mapping[str, Place]]) -> None:
        self.products = list(products)
        self.fold = np.array([(zlib.crc32(name.encode()) >> 9) % FOLDS for name in products], np.int64)
        counts: dict[str, int] = {}
        for own in tokens:
            for name in own:
                counts[name] = counts.get(name, 0) + 1
        kept = [name for name, times in counts.items() if TOKEN_LEAST <= times <= 0.98 * max(1, len(tokens))]
        self.names = sorted(sorted(kept, key=lambda name: (-counts[name], name))[:MOST_TOKENS])
        self.had = np.array([counts[name] for name in self.names], np.int64)
        idf = np.log((1.0 + len(tokens)) / (1.0 + self.had))
        kind = np.array([_WEIGHT[name.partition("\0")[0]] for name in self.names])
        self.scale: Array = np.round(np.maximum(0.3, idf) * kind, 4) if len(self.names) else np.empty(0)
        code = {name: at for at, name in enumerate(self.names)}
        columns = [sorted(code[name] for name in own if name in code) for own in tokens]
        starts = np.concatenate([[0], np.cumsum([len(own) for own in columns])]).astype(np.int64)
        flat = np.array([at for own in columns for at in own], np.int64)
        shape = (len(columns), max(1, len(self.names)))
        self.there: Any = sparse.csr_matrix((np.ones(len(flat)), flat, starts), shape)
        rows: Any = sparse.csr_matrix((self.scale[flat], flat, starts), shape)
        length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
        self.rows: Any = sparse.csr_matrix(sparse.diags(1 / np.maximum(length, 1e-9)) @ rows)
        self._drawn = np.argsort([zlib.crc32(b"\1" + name.encode()) for name in products], kind="stable")

    def votes(self, said: Sequence[Mapping[int, frozenset[str]]], targets: Sequence[int]) -> tuple[Votes, Array]:
        """The regressions taught by all products, and (n_products, n_values) votes of those that did not take part.
        `said`: {target: values} of each product."""
        values: list[tuple[int, str]] = []
        bias: list[Array] = []
        weights: list[Array] = []
        out_of_fold: list[Array] = []
        truths: list[Array] = []
        known: list[Array] = []
        for target in targets:
            names, truth, has = _truth(said, target)
            if not names:
                continue
            held = np.zeros((len(said), len(names)))
            for fold in range(FOLDS):
                own = self.fold == fold
                w, b = self._fit(truth, has & ~own)
                held[own] = 1 / (1 + np.exp(-np.clip(self.rows[own] @ w + b, -30, 30)))
            w, b = self._fit(truth, has)
            values += [(target, name) for name in names]
            weights.append(w)
            bias.append(b)
            out_of_fold.append(held)
            truths.append(truth)
            known.append(np.repeat(has.astype(np.float64)[:, None], len(names), axis=1))
        if not values:
            return Votes(), np.zeros((len(said), 0))
        found = self._kept(values, np.concatenate(bias), np.hstack(weights), (np.hstack(truths), np.hstack(known)))
        return found, np.hstack(out_of_fold)

    def _fit(self, truth: Array, rows: NDArray[np.bool_]) -> tuple[Array, Array]:
        """(n_tokens, n_values) weights and (n_values,) biases, by accelerated gradient steps: no sum depends on how
        many threads there are."""
        taught = self._drawn[rows[self._drawn]][:TAUGHT]
        x, y, n = self.rows[taught], truth[taught], max(1, len(taught))
        back: Any = x.T.tocsr()
        share = (y.sum(axis=0) + 0.5) / (n + 1.0)
        w, b = np.zeros((x.shape[1], y.shape[1])), np.log(share / (1 - share))
        ahead_w, ahead_b, t = w, b, 1.0
        step, ridge = 2.0, PENALTY / n
        for _ in range(ROUNDS):
            miss = 1 / (1 + np.exp(-np.clip(x @ ahead_w + ahead_b, -30, 30))) - y
            new_w = ahead_w - step * ((back @ miss) / n + ridge * ahead_w)
            new_b = ahead_b - step * miss.sum(axis=0) / n
            later = (1 + (1 + 4 * t * t) ** 0.5) / 2
            ahead_w, ahead_b = new_w + (t - 1) / later * (new_w - w), new_b + (t - 1) / later * (new_b - b)
            w, b, t = new_w, new_b, later
        return w, b

    def _kept(self, values: list[tuple[int, str]], bias: Array, weights: Array, of: tuple[Array, Array]) -> Votes:
        have, had = (np.asarray(self.there.T @ one) for one in of)
        tokens = {}  # those that say nothing too: they make an item's text longer
        for at, name in enumerate(self.names):
            votes = [
                Vote(value, round(float(weights[at, value]), 4), int(have[at, value]), int(had[at, value]))
                for value in np.flatnonzero(np.abs(weights[at]) >= SMALL).tolist()
            ]
            tokens[name] = Token(float(self.scale[at]), votes)
        return Votes(values, [round(one, 4) for one in bias.tolist()], tokens)


def _truth(said: Sequence[Mapping[int, frozenset[str]]], target: int) -> tuple[list[str], Array, NDArray[np.bool_]]:
    """The values worth learning, who has them, and who has the column at all."""
    counts: dict[str, int] = {}
    for own in said:
        for value in own.get(target, ()):
            counts[value] = counts.get(value, 0) + 1
    has = np.array([bool(own.get(target)) for own in said], np.bool_)
    ranked = sorted((name for name, times in counts.items() if times >= LEAST), key=lambda name: (-counts[name], name))
    names = sorted(ranked[:MOST_VALUES])
    if has.sum() < FEWEST or len(names) < 1:
        return [], np.empty((len(said), 0)), has
    truth = np.array([[float(name in own.get(target, ())) for name in names] for own in said])
    return names, truth, has
