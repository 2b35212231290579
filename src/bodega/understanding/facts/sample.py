"""The items that a miner learns from, looked at once: what they say, what their texts name, how often that agrees.

The sample is whole products (variants and equal titles stay together), drawn by a hash of their names and parted
into two halves: what is counted on one describes the candidates of the other, so that no item vouches for itself.
Cost: 12,000 items about 10 s. Not for: mining (`miner`).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bodega.schema import Item, ItemTable
from bodega.schema.facts import FactEvidence, How
from bodega.understanding.facts.belief import Examples, Known, Tally, features
from bodega.understanding.facts.brands import BrandTagger
from bodega.understanding.facts.clues import CATEGORY, Clues, Counted, clue_words
from bodega.understanding.facts.columns import Columns, Target
from bodega.understanding.facts.mentions import PLACES, Candidate
from bodega.understanding.facts.passages import Passage, key_of
from bodega.understanding.facts.votes import LIKELY, Taught, Votes, tokens_of

Look = Callable[[Item], tuple[list[Passage], dict[tuple[int, str], Candidate]]]
"""An item -> its texts, and what they name."""
NEAR = 0.01
"""Two amounts within 1 % are one."""
CLUE_KINDS = frozenset(("brand", "material", "audience", "pattern", "season", "attribute"))
"""A colour or a size is not guessed from other words."""


class Sample:
    """The items that are learned from, looked at once."""

    def __init__(self, columns: Columns, fold: NDArray[np.int64], weight: NDArray[np.float64]) -> None:
        self.columns = columns
        self.fold = fold
        self.weight = weight
        self.passages: list[list[Passage]] = []
        self.found: list[dict[tuple[int, str], Candidate]] = []
        self.said: list[list[frozenset[str]]] = []
        self.hints: list[list[str]] = []
        self.product: list[int] = []
        """The product of each row."""
        self.taught: Taught | None = None
        self._heads: list[int] = []
        self._voted = np.zeros((0, 0))
        self._votes = Votes()

    @classmethod
    def of(cls, columns: Columns, items: ItemTable, drawn: tuple[NDArray[np.int64], list[str]], look: Look) -> Sample:
        rows, groups = drawn
        size: dict[str, int] = {}
        for group in groups:
            size[group] = size.get(group, 0) + 1
        fold = np.array([zlib.crc32(group.encode()) >> 8 & 1 for group in groups])
        found = cls(columns, fold, np.array([1.0 / size[group] for group in groups]))
        number: dict[str, int] = {}
        tokens = []
        for at, (row, group) in enumerate(zip(rows.tolist(), groups, strict=True)):
            item = items.item(row)
            passages, candidates = look(item)
            found.said.append(said_of(item, columns.targets))
            found.found.append(candidates)
            found.hints.append(list(clue_words(passages)))
            found.passages.append([one for one in passages if one.place in ("title", "category")])
            if group not in number:
                number[group] = len(number)
                found._heads.append(at)
                tokens.append(tokens_of(passages))
            found.product.append(number[group])
        found.taught = Taught(list(number), tokens)
        return found

    def votes(self) -> Votes:
        """What all words say together; the votes on products that did not take part wait for `examples`."""
        if self.taught is not None:
            own = [
                number
                for number, target in enumerate(self.columns.targets)
                if target.own and not target.base and target.kind in CLUE_KINDS
            ]
            said = [dict(enumerate(self.said[row])) for row in self._heads]
            self._votes, self._voted = self.taught.votes(said, own)
        return self._votes

    def known(self, rows: NDArray[np.bool_]) -> Known:
        """What these items tell of values."""
        tallies: dict[tuple[int, str], Tally] = {}
        totals: dict[int, Tally] = {}
        for row in np.flatnonzero(rows).tolist():
            weight = float(self.weight[row])
            for target, values in enumerate(self.said[row]):
                if not values:
                    continue
                total = totals.setdefault(target, _blank())
                total.held += weight
                if self.columns.targets[target].base:
                    continue
                for value in values:
                    tallies.setdefault((target, value), _blank()).held += weight
            for (target, value), candidate in self.found[row].items():
                if not self.said[row][target]:
                    continue
                right = float(self.right(row, candidate)) * weight
                name = "" if self.columns.targets[target].base else value
                for place in {one.place for one in candidate.mentions}:
                    at = min(PLACES.index(place), 4) if place != "review" else 1
                    for tally in (tallies.setdefault((target, name), _blank()), totals.setdefault(target, _blank())):
                        tally.said[at] += weight
                        tally.right[at] += right
        return Known(tallies, totals)

    def right(self, row: int, candidate: Candidate) -> bool:
        """Does the shop say so too?"""
        said = self.said[row][candidate.target]
        if candidate.number is not None:
            return any(near(candidate.number, float(value)) for value in said)
        if candidate.value in said:
            return True
        return not candidate.shop and key_of(candidate.value) in {key_of(value) for value in said}

    def clues(self, rows: NDArray[np.bool_]) -> Clues:
        """The words that go with values among these items."""
        counted = Counted(self.hints, self.weight)
        out: Clues = {}
        for number, target in enumerate(self.columns.targets):
            if not target.own or target.kind not in CLUE_KINDS:
                continue
            names = sorted({value for own in self.said for value in own[number]})
            code = {name: at for at, name in enumerate(names)}
            places = [(row, code[value]) for row, own in enumerate(self.said) for value in sorted(own[number])]
            flat = np.array(places, np.int64).reshape(-1, 2)
            had: Any = sparse.csr_matrix(
                (np.ones(len(flat)), (flat[:, 0], flat[:, 1])), (len(self.said), max(1, len(names)))
            )
            has = np.array([bool(own[number]) for own in self.said])
            counted.clues(number, had, names, rows & has, out)
        return out

    def tagged(self) -> BrandTagger | None:
        """A tagger of brands, where titles of items with a brand name it; its probabilities on titles it did not see
        are added to the candidates."""
        number = next((at for at, one in enumerate(self.columns.targets) if one.kind == "brand"), -1)
        if number < 0:
            return None
        examples = [(one, {key_of(value) for value in self.said[row][number]}) for row, one in enumerate(self.passages)]
        return BrandTagger.learn(number, examples, self.fold, self.found)

    def examples(self, numeric: Sequence[bool]) -> Examples:
        """Candidates of items whose column is filled, told by the other half of the sample."""
        rows: list[NDArray[np.float64]] = []
        facts: list[tuple[float, float, int, int]] = []
        for fold in (0, 1):
            other = self.fold != fold
            known, clues = self.known(other), self.clues(other)
            for row in np.flatnonzero(self.fold == fold).tolist():
                found = {key: _copy(one) for key, one in self.found[row].items()}
                hint(found, self.passages[row], clues)
                vote(found, dict(zip(self._votes.values, self._voted[self.product[row]].tolist(), strict=True)))
                found = {
                    key: one
                    for key, one in found.items()
                    if one.number is not None or not one.shop or (key in known.tallies and known.tallies[key].held > 0)
                }
                if not found:
                    continue
                made = features(found, known, numeric)
                kept = [at for at, (target, _) in enumerate(found) if self.said[row][target]]
                if kept:
                    rows.append(made[kept])
                    held = list(found.values())
                    facts += [
                        (float(self.right(row, held[at])), float(self.weight[row]), fold, held[at].target)
                        for at in kept
                    ]
        flat = np.array(facts, np.float64).reshape(-1, 4)
        return Examples(
            np.concatenate(rows) if rows else np.empty((0, 0)),
            flat[:, 0],
            flat[:, 1],
            flat[:, 2].astype(np.int64),
            flat[:, 3].astype(np.int64),
        )


def hint(found: dict[tuple[int, str], Candidate], passages: Sequence[Passage], clues: Clues) -> None:
    """Add what clue words speak for."""
    if not clues:
        return
    texts = {one.field: one.text for one in passages}
    for word, (field, start, end) in clue_words(passages).items():
        for clue in clues.get(word, ()):
            key = clue.target, clue.value
            candidate = found.get(key)
            if candidate is None:
                candidate = found[key] = Candidate(clue.target, clue.value)
            by_category = word.startswith(CATEGORY)
            if by_category:
                candidate.by_category = max(candidate.by_category, clue.share)
            else:
                candidate.clue = max(candidate.clue, clue.share)
                candidate.clues += 1
            if len(candidate.words) < 3:
                how: How = "category" if by_category else "words"
                candidate.words.append(FactEvidence(field, start, end, texts[field][start:end], how))


def vote(found: dict[tuple[int, str], Candidate], chances: Mapping[tuple[int, str], float]) -> None:
    """Add what all words say together; a value that no text names is a candidate where it is likely."""
    for key, chance in chances.items():
        candidate = found.get(key)
        if candidate is None and chance >= LIKELY:
            candidate = found[key] = Candidate(*key)
        if candidate is not None:
            candidate.vote = max(chance, 1e-6)


def _copy(one: Candidate) -> Candidate:
    return Candidate(one.target, one.value, one.number, one.shop, one.mentions, tagged=one.tagged)


def said_of(item: Item, targets: Sequence[Target]) -> list[frozenset[str]]:
    """What the shop says in each target's column."""
    out = []
    for target in targets:
        name = target.column
        if name == "brand":
            out.append(frozenset((item.brand,)) if item.brand else frozenset[str]())
            continue
        held = [item.attributes.get(name), item.options.get(name)]
        texts = [one for value in held if value is not None for one in (value if isinstance(value, list) else [value])]
        if target.base:
            out.append(frozenset(f"{one:.6g}" for one in texts if isinstance(one, int | float) and one))
        else:
            out.append(frozenset(str(one) for one in texts if isinstance(one, str) or one is True or one is False))
    return out


def drawn_from(items: ItemTable, most: int) -> tuple[NDArray[np.int64], list[str]]:
    """Rows and the product of each; whole products, chosen by a hash so that the order of items does not matter."""
    titles = list(items.titles)
    ids = list(items.ids)
    alone = np.bincount(items.group, minlength=len(items))[items.group] == 1
    names = [
        (key_of(titles[row]) or ids[row]) if alone[row] else f"\0{ids[int(items.group[row])]}"
        for row in range(len(items))
    ]
    draw = [zlib.crc32(name.encode()) for name in names]
    order = sorted(range(len(items)), key=lambda row: (draw[row], names[row], row))[:most]
    rows = np.array(sorted(order), np.int64)
    return rows, [names[row] for row in rows.tolist()]


def _blank() -> Tally:
    return Tally([0.0] * 4, [0.0] * 4)


def near(one: float, other: float) -> bool:
    return abs(one - other) <= NEAR * max(abs(one), abs(other))
