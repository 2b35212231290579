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

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bodega.schema import Item, ItemTable
from bodega.schema.facts import Fact, FactEvidence, How
from bodega.schema.table import category_paths
from bodega.understanding import language
from bodega.understanding.facts.belief import (
    STANDARD,
    Belief,
    Examples,
    Known,
    Tally,
    features,
    learned,
)
from bodega.understanding.facts.brands import BrandTagger
from bodega.understanding.facts.clues import CATEGORY, Clues, Counted, clue_words
from bodega.understanding.facts.columns import Columns, Sense, Target, columns_of
from bodega.understanding.facts.mentions import PLACES, Candidate, Spotter
from bodega.understanding.facts.passages import Passage, key_of, passages_of
from bodega.understanding.query import colours
from bodega.understanding.query.units import Worth, worths

FILE, TAGGER = "miner.json", "tagger"
NEAR = 0.01
"""Two amounts within 1 % are one."""
AT_HOME = 0.1
"""Of the items of a category so many must have a column, or its other items are not mined for it."""
MOST_FACTS = 40
"""Kept of one item."""
CLUE_KINDS = frozenset(("brand", "material", "audience", "pattern", "season", "attribute"))
"""A colour or a size is not guessed from other words."""
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
    format: int = 1


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
        rows, groups = _sample(items, self.options.sample)
        if not len(rows):
            return self
        sample = _Sample.of(self, items, (rows, groups), told)
        self.tagger = sample.tagged(self)
        self.known = sample.known(np.ones(len(rows), np.bool_))
        self.clues = sample.clues(np.ones(len(rows), np.bool_))
        self.beliefs = learned(sample.examples(self), len(self.columns.targets))
        return self

    def passages(self, item: Item, told: Told | None = None) -> list[Passage]:
        """What is read of an item."""
        found = passages_of(item, told(item) if told else ())
        return found if self.options.codes else [one for one in found if one.place != "code"]

    def candidates(self, passages: Sequence[Passage]) -> dict[tuple[int, str], Candidate]:
        """Everything that the texts name or hint at."""
        found = self._spotter.spot(passages)
        _hint(found, passages, self.clues)
        if self.tagger is not None:
            self.tagger.add(found, passages)
        return found

    # -- mining ---------------------------------------------------------------------------------------------------

    def mine(self, item: Item, told: Told | None = None) -> list[Fact]:
        """The facts of one item, each column's surest first; what the shop itself says is not repeated."""
        passages = self.passages(item, told)
        found, said = self.candidates(passages), _said(item, self.columns.targets)
        titled = {candidate.target for candidate in found.values() if candidate.titled}
        wanted = {
            number
            for number, target in enumerate(self.columns.targets)
            if (not said[number] or (target.single and number in titled)) and self._at_home(item, target)
        }
        found = {key: candidate for key, candidate in found.items() if candidate.target in wanted}
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
            return any(_near(candidate.number, float(value)) for value in said)
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
        found.homes = stored.homes
        found._worths = stored.worths
        found.tagger = BrandTagger.load(folder / TAGGER) if (folder / TAGGER).is_dir() else None
        found._ready()
        return found


class _Sample:
    """The items that are learned from, looked at once."""

    def __init__(self, columns: Columns, fold: NDArray[np.int64], weight: NDArray[np.float64]) -> None:
        self.columns = columns
        self.fold = fold
        self.weight = weight
        self.passages: list[list[Passage]] = []
        self.found: list[dict[tuple[int, str], Candidate]] = []
        self.said: list[list[frozenset[str]]] = []
        self.hints: list[list[str]] = []

    @classmethod
    def of(
        cls, miner: Miner, items: ItemTable, drawn: tuple[NDArray[np.int64], list[str]], told: Told | None
    ) -> _Sample:
        rows, groups = drawn
        size: dict[str, int] = {}
        for group in groups:
            size[group] = size.get(group, 0) + 1
        fold = np.array([zlib.crc32(group.encode()) >> 8 & 1 for group in groups])
        found = cls(miner.columns, fold, np.array([1.0 / size[group] for group in groups]))
        for row in rows.tolist():
            item = items.item(row)
            passages = miner.passages(item, told)
            found.said.append(_said(item, miner.columns.targets))
            found.found.append(miner._spotter.spot(passages))
            found.hints.append(list(clue_words(passages)))
            found.passages.append([one for one in passages if one.place in ("title", "category")])
        return found

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
            return any(_near(candidate.number, float(value)) for value in said)
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

    def tagged(self, miner: Miner) -> BrandTagger | None:
        """A tagger of brands, where titles of items with a brand name it; its probabilities on titles it did not see
        are added to the candidates."""
        number = next((at for at, one in enumerate(self.columns.targets) if one.kind == "brand"), -1)
        if number < 0 or not miner.options.tagger:
            return None
        examples = [(one, {key_of(value) for value in self.said[row][number]}) for row, one in enumerate(self.passages)]
        return BrandTagger.learn(number, examples, self.fold, self.found)

    def examples(self, miner: Miner) -> Examples:
        """Candidates of items whose column is filled, told by the other half of the sample."""
        rows: list[NDArray[np.float64]] = []
        facts: list[tuple[float, float, int, int]] = []
        for fold in (0, 1):
            other = self.fold != fold
            known, clues = self.known(other), self.clues(other)
            for row in np.flatnonzero(self.fold == fold).tolist():
                found = {key: _copy(one) for key, one in self.found[row].items()}
                _hint(found, self.passages[row], clues)
                found = {
                    key: one
                    for key, one in found.items()
                    if one.number is not None or not one.shop or (key in known.tallies and known.tallies[key].held > 0)
                }
                if not found:
                    continue
                made = features(found, known, miner._numeric)
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


def _hint(found: dict[tuple[int, str], Candidate], passages: Sequence[Passage], clues: Clues) -> None:
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


def _copy(one: Candidate) -> Candidate:
    return Candidate(one.target, one.value, one.number, one.shop, one.mentions, tagged=one.tagged)


def _by_target(
    found: Mapping[tuple[int, str], Candidate], sure: Sequence[float]
) -> dict[int, list[tuple[float, Candidate]]]:
    out: dict[int, list[tuple[float, Candidate]]] = {}
    for candidate, chance in zip(found.values(), sure, strict=True):
        out.setdefault(candidate.target, []).append((chance, candidate))
    for held in out.values():
        held.sort(key=lambda one: (-one[0], one[1].value))
    return dict(sorted(out.items()))


def _said(item: Item, targets: Sequence[Target]) -> list[frozenset[str]]:
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


def _sample(items: ItemTable, most: int) -> tuple[NDArray[np.int64], list[str]]:
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


def _blank() -> Tally:
    return Tally([0.0] * 4, [0.0] * 4)


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= NEAR * max(abs(one), abs(other))
