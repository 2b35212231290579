"""What does the shop not know of its items that their own texts say? All steps, in order.

    columns    which columns may be filled, and every way to say their values          columns, lexicon
    look       the candidates of a sample of items, where they stand                    passages, mentions, amounts
    count      how often a mention was right; which words go with which value          belief, clues
    believe    hide what is known, find it again: features to calibrated confidence     belief
    mine       every item: candidates, confidence, conflicts with what the shop says

The sample is parted into two halves by product (variants and equal titles stay together): what is counted on one half
is believed on the other, so that no item vouches for itself.
Cost: fitting about 10 s at most (12,000 items are looked at), mining 50 to 200 microseconds an item.
Not for: deciding. Facts are merged by `catalog.knowledge`, and a merchant's word stands above them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec
import numpy as np

from bodega.schema import Item, ItemTable
from bodega.schema.facts import Fact
from bodega.schema.table import category_paths
from bodega.understanding import language
from bodega.understanding.facts.belief import (
    STANDARD,
    Belief,
    Known,
    Tally,
    features,
    learned,
)
from bodega.understanding.facts.brands import BrandTagger
from bodega.understanding.facts.clues import Clues
from bodega.understanding.facts.columns import Columns, Sense, Target, columns_of
from bodega.understanding.facts.mentions import Candidate, Spotter
from bodega.understanding.facts.passages import Passage, key_of, passages_of
from bodega.understanding.facts.sample import Sample, drawn_from, hint, near, said_of, vote
from bodega.understanding.facts.votes import LIKELY, Ballot, Votes, tokens_of
from bodega.understanding.query import colours
from bodega.understanding.query.units import Worth, worths

FILE, TAGGER = "miner.json", "tagger"
AT_HOME = 0.1
"""Of the items of a category so many must have a column, or its other items are not mined for it."""
MOST_FACTS = 40
"""Kept of one item."""
Told = Callable[[Item], Iterable[str]]
"""Texts that others wrote of an item (reviews)."""


class MinerOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Chosen on validation products of Best Buy and on folds of Luma (docs/decisions/0041-facts.md)."""

    sample: int = 12_000
    """Items that are looked at to learn what a mention is worth."""
    least: float = 0.6
    """Facts with less confidence are not kept."""
    tagger: bool = True
    """Tag brands that no list holds, where the extra `tagger` is installed."""
    codes: bool = True
    """Read article numbers too ("MH01-XS-Black")."""


class _Stored(msgspec.Struct, frozen=True):
    options: MinerOptions
    targets: tuple[Target, ...]
    senses: dict[str, list[Sense]]
    worths: dict[str, tuple[float, str]]
    tallies: list[tuple[int, str, Tally]]
    totals: list[tuple[int, Tally]]
    clues: Clues
    beliefs: list[Belief | None]
    homes: dict[str, dict[str, float]]
    items: int
    votes: Votes = msgspec.field(default_factory=Votes)
    format: int = 2


class Miner:
    """Answers: which values do an item's texts name that the shop did not type in, and how surely?
    Needs: a catalog; columns that are filled for some items make all the difference.
    Good for: facets and filters over half-filled columns, brands in titles, sizes in article numbers.
    Not for: columns that no text speaks of.
    Cost: see above. Relations: `catalog.knowledge` merges its facts; `query.tagger` tags Chinese titles with examples.
    """

    def __init__(self, options: MinerOptions | None = None) -> None:
        self.options = options or MinerOptions()
        self.columns = Columns()
        self.known = Known({}, {})
        self.clues: Clues = {}
        self.ballot = Ballot(Votes())
        self.beliefs: list[Belief | None] = []
        self.tagger: BrandTagger | None = None
        self.items = 0
        self.homes: dict[str, dict[str, float]] = {}
        """{column of the shop's own kind: {category: share of its items that have it}}."""
        self._worths: Worth = {}
        self._ready()

    def _ready(self) -> None:
        self._spotter = Spotter(self.columns, self._worths)
        self._numeric = [bool(target.base) for target in self.columns.targets]

    # -- learning -------------------------------------------------------------------------------------------------

    def fit(self, items: ItemTable, told: Told | None = None) -> Self:
        """Learn from the items whose columns are filled. Same items, same result."""
        self._worths = worths()
        titles = [items.titles[row] for row in range(0, len(items), max(1, len(items) // 500))]
        han = sum(language.detect(title) == "zh" for title in titles) > len(titles) / 2
        self.columns, self.items = columns_of(items, han), len(items)
        self._ready()
        self.homes = _homes(items, self.columns.targets)
        rows, groups = drawn_from(items, self.options.sample)
        if not len(rows):
            return self
        sample = Sample.of(self.columns, items, (rows, groups), lambda item: self._look(item, told))
        self.tagger = sample.tagged() if self.options.tagger else None
        self.known = sample.known(np.ones(len(rows), np.bool_))
        self.clues = sample.clues(np.ones(len(rows), np.bool_))
        self.ballot = Ballot(sample.votes())
        self.beliefs = learned(sample.examples(self._numeric), len(self.columns.targets))
        return self

    def passages(self, item: Item, told: Told | None = None) -> list[Passage]:
        """What is read of an item."""
        found = passages_of(item, told(item) if told else ())
        return found if self.options.codes else [one for one in found if one.place != "code"]

    def _look(self, item: Item, told: Told | None) -> tuple[list[Passage], dict[tuple[int, str], Candidate]]:
        """An item's texts, and what they name."""
        passages = self.passages(item, told)
        return passages, self._spotter.spot(passages)

    def candidates(self, passages: Sequence[Passage]) -> dict[tuple[int, str], Candidate]:
        """Everything that the texts name or hint at."""
        found = self._spotter.spot(passages)
        hint(found, passages, self.clues)
        if self.tagger is not None:
            self.tagger.add(found, passages)
        return found

    def _vote(self, found: dict[tuple[int, str], Candidate], passages: Sequence[Passage], wanted: set[int]) -> None:
        """Add what all words say of the wanted columns, and which of them say it."""
        if wanted.isdisjoint(self.ballot.targets):
            return
        tokens = tokens_of(passages)
        vote(found, {key: chance for key, chance in self.ballot.judge(tokens).items() if key[0] in wanted})
        for key, candidate in found.items():
            if candidate.vote >= LIKELY and len(candidate.mentions) < 3:
                counted = self.ballot.evidence(key, tokens)
                places = {(one.field, one.start) for one in counted}
                candidate.words = counted + [one for one in candidate.words if (one.field, one.start) not in places]

    # -- mining ---------------------------------------------------------------------------------------------------

    def mine(self, item: Item, told: Told | None = None) -> list[Fact]:
        """The facts of one item, each column's surest first; what the shop itself says is not repeated."""
        passages = self.passages(item, told)
        found, said = self.candidates(passages), said_of(item, self.columns.targets)
        titled = {candidate.target for candidate in found.values() if candidate.titled}
        wanted = {
            number
            for number, target in enumerate(self.columns.targets)
            if (not said[number] or (target.single and number in titled)) and self._at_home(item, target)
        }
        found = {key: candidate for key, candidate in found.items() if candidate.target in wanted}
        self._vote(found, passages, wanted)
        if not found:
            return []
        facts: list[Fact] = []
        for target, held in _by_target(found, self._sure(found)).items():
            facts += self._facts(item.id, target, held, said[target])
        return facts[:MOST_FACTS]

    def _sure(self, found: Mapping[tuple[int, str], Candidate]) -> list[float]:
        """The confidence of each candidate."""
        rows = features(found, self.known, self._numeric)
        sure = np.zeros(len(found))
        of = np.array([candidate.target for candidate in found.values()])
        for target in np.unique(of).tolist():
            belief, own = self.beliefs[target] if self.beliefs else None, of == target
            if belief is not None:
                sure[own] = belief.confidence(rows[own])
        for at, candidate in enumerate(found.values()):
            if not self.beliefs or self.beliefs[candidate.target] is None:
                sure[at] = self._standard(candidate)
        out: list[float] = sure.tolist()
        return out

    def _at_home(self, item: Item, target: Target) -> bool:
        """Do items of this category have such a column at all? (Hoodies have no `style_bottom`.)"""
        homes = self.homes.get(target.column)
        if not homes or not item.category:
            return True
        paths = category_paths(item.category)
        return next((homes[path] for path in reversed(paths) if path in homes), 1.0) >= AT_HOME

    def _standard(self, candidate: Candidate) -> float:
        """Where the shop has nothing to learn from: what such a mention was worth elsewhere."""
        target = self.columns.targets[candidate.target]
        kind = target.base or target.kind
        places = {one.place for one in candidate.mentions}
        return max((STANDARD.get((kind, place), 0.0) for place in places), default=0.0)

    def _facts(
        self, item: str, target: int, held: list[tuple[float, Candidate]], said: frozenset[str]
    ) -> Iterator[Fact]:
        column = self.columns.targets[target]
        own = {key_of(value) for value in said}
        named = bool(own) and any(key_of(candidate.value) in own and candidate.mentions for _, candidate in held)
        for sure, candidate in held[: 1 if column.single else None]:
            if sure < self.options.least:
                continue
            conflicts: tuple[str, ...] = ()
            if said:
                if not column.single or not candidate.titled or named or self._agrees(column, candidate, said, own):
                    continue
                conflicts = tuple(sorted(said))
            yield Fact(
                item=item,
                attribute=column.column,
                value=candidate.value,
                kind=column.kind,
                number=candidate.number,
                confidence=round(sure, 3),
                evidence=candidate.evidence(),
                conflicts=conflicts,
            )

    def _agrees(self, column: Target, candidate: Candidate, said: frozenset[str], own: set[str]) -> bool:
        """Is it what the shop says, in other words?"""
        if candidate.number is not None:
            return any(near(candidate.number, float(value)) for value in said)
        key = key_of(candidate.value)
        if any(key == one or f" {key} " in f" {one} " or f" {one} " in f" {key} " for one in own):
            return True
        if column.kind == "colour":
            family = colours.families(candidate.value)
            return not family or any(family & (colours.families(value) or family) for value in said)
        return False

    # -- keeping --------------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """One sorted JSON, and the tagger's own file where there is one: equal catalogs give equal bytes."""
        stored = _Stored(
            options=self.options,
            targets=self.columns.targets,
            senses=self.columns.senses,
            worths=self._worths,
            tallies=[(target, value, tally) for (target, value), tally in sorted(self.known.tallies.items())],
            totals=sorted(self.known.totals.items()),
            clues=self.clues,
            beliefs=self.beliefs,
            homes=self.homes,
            votes=self.ballot.votes,
            items=self.items,
        )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_bytes(msgspec.json.encode(stored, order="sorted"))
        if self.tagger is not None:
            self.tagger.save(folder / TAGGER)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Open what `save` wrote."""
        stored = msgspec.json.decode((folder / FILE).read_bytes(), type=_Stored)
        found = cls(stored.options)
        found.columns = Columns(stored.targets, stored.senses)
        found.known = Known({(target, value): tally for target, value, tally in stored.tallies}, dict(stored.totals))
        found.clues, found.beliefs, found.items = stored.clues, stored.beliefs, stored.items
        found.homes, found.ballot = stored.homes, Ballot(stored.votes)
        found._worths = stored.worths
        found.tagger = BrandTagger.load(folder / TAGGER) if (folder / TAGGER).is_dir() else None
        found._ready()
        return found


def _by_target(
    found: Mapping[tuple[int, str], Candidate], sure: Sequence[float]
) -> dict[int, list[tuple[float, Candidate]]]:
    out: dict[int, list[tuple[float, Candidate]]] = {}
    for candidate, chance in zip(found.values(), sure, strict=True):
        out.setdefault(candidate.target, []).append((chance, candidate))
    for held in out.values():
        held.sort(key=lambda one: (-one[0], one[1].value))
    return dict(sorted(out.items()))


def _homes(items: ItemTable, targets: Sequence[Target]) -> dict[str, dict[str, float]]:
    """For each column of the shop's own kind: the categories of three items or more, and how many of theirs have it."""
    column = items.coded["category"]
    names = list(column.vocabulary)
    size = np.bincount(column.codes, minlength=len(names))
    out = {}
    for target in targets:
        if target.kind == "attribute" and target.own and names:
            filled = np.diff(items.coded[target.column].starts) > 0
            have = np.bincount(column.codes, weights=filled[column.owner], minlength=len(names))
            kept = np.flatnonzero(size >= 3).tolist()
            out[target.column] = {names[code]: round(float(have[code] / size[code]), 3) for code in kept}
    return out
