"""Which rules apply to this request, and what do they want together? Rules compiled into indexes; conflicts resolved.

`RuleBook` is immutable and made anew when a rule changes. A request is compared with the phrases of all rules at once
(`phrases`), with the categories of its page and with the rules of its place; only what is found is looked at closely
(segments, language, schedule). What applies is put in order, *most precise first*, then by priority, then by id:

    precision: the query exactly > its start > words in it > any query; then more words; then the deeper category;
               then a segment; then more of the other conditions

In that order: the first redirect wins; the first replacement of the whole query wins; banners are shown in order (three
at most); hides, filters and boosts all count; of two pins on one position the first has it (`placing`). Hide beats pin.
A query that a rule replaced may bring in further rules, but never a second replacement: nothing can go in circles.

Cost: about 30 us with 1,000 rules (docs/rules.md has the figures); a rule without query and category is looked at in
every request of its places. Not for: what the items are (`engine.merchandise`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from bodega.ranking.phrases import PhraseIndex, Said
from bodega.schema import (
    Banner,
    Boost,
    Bury,
    Hide,
    Match,
    Narrow,
    Pin,
    Redirect,
    Replace,
    Rule,
    SegmentKind,
    ShowBanner,
    Synonyms,
    Weekday,
)
from bodega.schema.rules import EVERYWHERE, SEARCH_PLACES
from bodega.schema.table import PATH_SEPARATOR
from bodega.understanding.language import fold

BANNERS = 3
_DAYS = {day: number for number, day in enumerate(Weekday)}
_THURSDAY = 3
"""1970-01-01 was one."""

Precision = tuple[int, ...]
"""Larger is more precise, compared from the left."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules may ask about a request."""

    place: str = "search"
    query: str = ""
    """As typed."""
    corrected: str = ""
    """Another reading of the query (spelling corrected) that rules are compared with too."""
    categories: tuple[str, ...] = ()
    """Paths that the page is narrowed to, "Shoes > Trail"."""
    segments: frozenset[str] = frozenset()
    """Keys of the segments the shopper is in, see `schema.Segment.key`."""
    language: str = ""
    now: float = 0.0
    """Seconds since 1970 UTC."""
    verbatim: bool = False
    """Search what was typed: no word is replaced, no synonym added."""


@dataclass(frozen=True, slots=True)
class PinAt:
    rule: str
    item: str
    position: int
    """From 1."""


@dataclass(frozen=True, slots=True)
class Aim:
    """An action on items that are named or filtered; `weight` is the log of its factor, negative to bury."""

    rule: str
    action: Boost | Bury | Hide | Narrow
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What the rules want of one page, the strongest first."""

    pins: tuple[PinAt, ...] = ()
    lifts: tuple[Aim, ...] = ()
    hides: tuple[Aim, ...] = ()
    filters: tuple[Aim, ...] = ()
    redirect: str = ""
    banners: tuple[Banner, ...] = ()
    query: str = ""
    """What to search instead of what was typed; "" = what was typed."""
    synonyms: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(words of the query, other ways to say them), folded: what `Context.alternatives` holds."""
    rules: tuple[str, ...] = ()
    """Ids of the rules that take part."""
    only_move: frozenset[str] = frozenset()
    """Those of them that do nothing but pin, boost and bury: they need an item of the list to act on."""

    @property
    def moves(self) -> bool:
        """Does it change which items are shown, or in what order?"""
        return bool(self.pins or self.lifts or self.hides or self.filters)


NOTHING = Plan()


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A rule's conditions apart from its words, as cheap to ask as they can be."""

    rule: Rule
    places: frozenset[str]
    segments: frozenset[str]
    languages: frozenset[str]
    days: frozenset[int]
    start: float
    end: float
    depth: int
    """Precision of what is not words: the deepest category ..."""
    others: int
    """... and how many further conditions there are."""

    @classmethod
    def of(cls, rule: Rule) -> _Compiled:
        when = rule.when
        given = (when.places, when.languages, when.weekdays, when.start or when.end)
        return cls(
            rule,
            frozenset(when.places or SEARCH_PLACES),
            frozenset(segment.key for segment in when.segments),
            frozenset(_language(name) for name in when.languages),
            frozenset(_DAYS[day] for day in when.weekdays),
            when.start.timestamp() if when.start else -math.inf,
            when.end.timestamp() if when.end else math.inf,
            max((path.count(PATH_SEPARATOR) + 1 for path in when.categories), default=0),
            sum(bool(each) for each in given),
        )

    def holds(self, facts: Facts) -> bool:
        """All conditions but the words."""
        if not (self.start <= facts.now < self.end):
            return False
        if facts.place not in self.places and EVERYWHERE not in self.places:
            return False
        if self.segments and not self.segments & facts.segments:
            return False
        if self.days and int(facts.now // 86_400 + _THURSDAY) % 7 not in self.days:
            return False
        if self.languages and _language(facts.language) not in self.languages:
            return False
        when = self.rule.when
        return not when.categories or any(_covers(path, facts.categories, below=when.below) for path in when.categories)

    def strength(self, level: int, words: int) -> Precision:
        return (level, words, self.depth, int(bool(self.segments)), self.others)


class RuleBook:
    """All enabled rules of a shop, compiled. Immutable: `with_rule` gives another."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.rules = tuple(sorted(rules, key=lambda rule: rule.id))
        self._all = [_Compiled.of(rule) for rule in self.rules if rule.enabled]
        self._queries = PhraseIndex()
        self._triggers = PhraseIndex()
        """Words that an action itself looks for: what is replaced, what has synonyms."""
        self._on_page: dict[str, list[int]] = {}
        self._at_place: dict[str, list[int]] = {}
        for number, compiled in enumerate(self._all):
            self._file(number, compiled.rule)
        likes = {segment for each in self._all for segment in each.rule.when.segments}
        self.likes = tuple(sorted((s for s in likes if s.kind is SegmentKind.LIKES), key=lambda s: s.key))
        """What must be known of a shopper's history to tell the segments of these rules."""

    def __len__(self) -> int:
        return len(self._all)

    def with_rule(self, rule: Rule) -> RuleBook:
        """A book in which this rule stands instead of the one of its id."""
        return RuleBook([*(other for other in self.rules if other.id != rule.id), rule])

    def without(self, rule: str) -> RuleBook:
        return RuleBook(other for other in self.rules if other.id != rule)

    def plan(self, facts: Facts) -> Plan:
        """What the rules want of this request's page."""
        if not self._all:
            return NOTHING
        typed = [Said.of(text) for text in dict.fromkeys((facts.query, facts.corrected)) if text]
        matched = self._matched(typed, facts)
        making = _Making(facts.query)
        if facts.query and not facts.verbatim:
            self._replace(typed[0], matched, facts, making)
        if making.query:
            further = self._matched([Said.of(making.query)], facts)
            matched.update({number: max(found, matched.get(number, ())) for number, found in further.items()})
        for number in self._in_order(matched):
            making.take(self._all[number].rule)
        if facts.query and not facts.verbatim:
            said = Said.of(making.query) if making.query else typed[0]
            for words, others, rule in self._synonyms(said, matched, facts):
                making.synonyms.setdefault(words, {}).update(dict.fromkeys(others))
                making.note(rule)
        return making.plan()

    def alternatives(self, text: str, facts: Facts) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """(words of `text`, other ways to say them), folded; for a text that was understood from the query."""
        if not self._all or facts.verbatim or not text:
            return ()
        said = Said.of(text)
        matched = self._matched([Said.of(facts.query), said] if facts.query else [said], facts)
        held: dict[str, dict[str, None]] = {}
        for words, others, _ in self._synonyms(said, matched, facts):
            held.setdefault(words, {}).update(dict.fromkeys(others))
        return tuple((words, tuple(others)) for words, others in held.items())

    def _file(self, number: int, rule: Rule) -> None:
        """Put a rule where a request will look for it."""
        triggered = 0
        for action in rule.then:
            if isinstance(action, Synonyms):
                for word in action.words[: 1 if action.one_way else None]:
                    self._triggers.add(word, Match.CONTAINS, number)
            elif isinstance(action, Replace) and action.words:
                self._triggers.add(action.words, Match.CONTAINS, number)
            else:
                continue
            triggered += 1
        if rule.when.queries:
            for phrase in rule.when.queries:
                self._queries.add(phrase.text, phrase.match, number)
        elif triggered < len(rule.then):
            kept = self._on_page if rule.when.categories else self._at_place
            for name in rule.when.categories or rule.when.places or SEARCH_PLACES:
                kept.setdefault(name, []).append(number)

    def _matched(self, texts: list[Said], facts: Facts) -> dict[int, Precision]:
        """The rules whose conditions hold, with how precisely they do."""
        words: dict[int, tuple[int, int]] = {}
        for said in texts:
            for found in self._queries.find(said):
                words[found.number] = max((found.level, found.words), words.get(found.number, (0, 0)))
        for path in facts.categories:
            for above in _upwards(path):
                words.update(dict.fromkeys(self._on_page.get(above, ()), (0, 0)))
        for place in (facts.place, EVERYWHERE):
            words.update(dict.fromkeys(self._at_place.get(place, ()), (0, 0)))
        return {n: self._all[n].strength(*found) for n, found in words.items() if self._all[n].holds(facts)}

    def _in_order(self, matched: dict[int, Precision]) -> list[int]:
        """Most precise first, then by priority, then by id (the order of numbers)."""
        return sorted(
            matched,
            key=lambda number: (tuple(-part for part in matched[number]), -self._all[number].rule.priority, number),
        )

    def _triggered(self, said: Said, matched: dict[int, Precision], facts: Facts) -> Iterator[int]:
        """Rules with an action that looks for words of this text, and whose conditions hold; in order."""
        found: dict[int, Precision] = {}
        for hit in self._triggers.find(said):
            compiled = self._all[hit.number]
            strength = matched.get(hit.number)
            if strength is None and not compiled.rule.when.queries and compiled.holds(facts):
                strength = compiled.strength(hit.level, hit.words)
            if strength is not None:
                found[hit.number] = max(strength, found.get(hit.number, ()))
        yield from self._in_order(found)

    def _replace(self, said: Said, matched: dict[int, Precision], facts: Facts, making: _Making) -> None:
        """The query with its words replaced: one rule after the other, or by the first that replaces all of it."""
        numbers = {number: matched[number] for number in matched}
        for number in self._triggered(said, matched, facts):
            numbers.setdefault(number, self._all[number].strength(1, 1))
        current = said
        for number in self._in_order(numbers):
            for action in self._all[number].rule.then:
                if not isinstance(action, Replace):
                    continue
                text = _substituted(current, action) if action.words else action.by
                if text != current.text:
                    making.query = text
                    making.note(self._all[number].rule.id)
                    if not action.words:
                        return
                    current = Said.of(text)

    def _synonyms(
        self, said: Said, matched: dict[int, Precision], facts: Facts
    ) -> Iterator[tuple[str, tuple[str, ...], str]]:
        """(words of the text, other ways to say them, id of the rule)."""
        for number in self._triggered(said, matched, facts):
            rule = self._all[number].rule
            for action in rule.then:
                if isinstance(action, Synonyms):
                    for at, word in enumerate(action.words[: 1 if action.one_way else None]):
                        others = tuple(fold(other) for n, other in enumerate(action.words) if n != at)
                        yield from ((words, others, rule.id) for words in _standing(said, word))


@dataclass(slots=True)
class _Making:
    """A plan while it is put together."""

    typed: str
    query: str = ""
    redirect: str = ""
    pins: dict[str, PinAt] = field(default_factory=dict)
    lifts: list[Aim] = field(default_factory=list)
    hides: list[Aim] = field(default_factory=list)
    filters: list[Aim] = field(default_factory=list)
    banners: list[Banner] = field(default_factory=list)
    synonyms: dict[str, dict[str, None]] = field(default_factory=dict)
    rules: dict[str, bool] = field(default_factory=dict)
    """Rule -> does it nothing but move items?"""

    def note(self, rule: str, *, moves: bool = False) -> None:
        self.rules[rule] = moves and self.rules.get(rule, True)

    def take(self, rule: Rule) -> None:
        """Take the actions of the next weaker rule."""
        for action in rule.then:
            if isinstance(action, Pin):
                taken = self.pins.setdefault(action.item, PinAt(rule.id, action.item, action.position)).rule == rule.id
            elif isinstance(action, Boost | Bury):
                sign = 1.0 if isinstance(action, Boost) else -1.0
                self.lifts.append(Aim(rule.id, action, sign * math.log(action.factor)))
                taken = True
            elif isinstance(action, Hide | Narrow):
                (self.hides if isinstance(action, Hide) else self.filters).append(Aim(rule.id, action))
                taken = True
            elif isinstance(action, Redirect):
                taken, self.redirect = not self.redirect, self.redirect or action.url
            elif isinstance(action, ShowBanner):
                taken = len(self.banners) < BANNERS
                if taken:
                    self.banners.append(Banner(text=action.text, url=action.url, image=action.image, rule=rule.id))
            else:
                taken = False  # words are handled before
            if taken:
                self.note(rule.id, moves=isinstance(action, Pin | Boost | Bury))

    def plan(self) -> Plan:
        return Plan(
            tuple(self.pins.values()),
            tuple(self.lifts),
            tuple(self.hides),
            tuple(self.filters),
            self.redirect,
            tuple(self.banners),
            self.query,
            tuple((words, tuple(others)) for words, others in self.synonyms.items()),
            tuple(self.rules),
            frozenset(rule for rule, moves in self.rules.items() if moves),
        )


NO_RULES = RuleBook()


def shown_at(rule: Rule, now: float) -> float:
    """A moment at which the rule is in force: now, or when its schedule starts, or the first of its weekdays after."""
    compiled = _Compiled.of(rule)
    moment = max(now, compiled.start) if math.isfinite(compiled.start) else now
    if not moment < compiled.end:
        moment = max(compiled.start, compiled.end - 1.0) if math.isfinite(compiled.end) else now
    for days in range(7):
        later = moment + 86_400.0 * days
        if not compiled.days or int(later // 86_400 + _THURSDAY) % 7 in compiled.days:
            return later if later < compiled.end else moment
    return moment


def in_force(rule: Rule) -> Rule:
    """The rule as if it were switched on: what a preview looks at."""
    return rule if rule.enabled else msgspec.structs.replace(rule, enabled=True)


def _standing(said: Said, phrase: str) -> list[str]:
    """The words of the folded text that are this phrase, each wording once."""
    own = PhraseIndex()
    own.add(phrase, Match.CONTAINS, 0)
    return list(dict.fromkeys(said.text[slice(*found.span)] for found in own.find(said) if found.whole))


def _substituted(said: Said, action: Replace) -> str:
    """The folded text with every occurrence of the words replaced; they never overlap."""
    own = PhraseIndex()
    own.add(action.words, Match.CONTAINS, 0)
    out, at = [], 0
    for start, end in sorted(
        {found.span for found in own.find(said) if found.whole}, key=lambda span: (span[0], -span[1])
    ):
        if start >= at:
            out += [said.text[at:start], action.by]
            at = end
    return "".join([*out, said.text[at:]]) if out else said.text


def _upwards(path: str) -> Iterator[str]:
    """The path and all above it: "Shoes > Trail", "Shoes"."""
    steps = path.split(PATH_SEPARATOR)
    for depth in range(len(steps), 0, -1):
        yield PATH_SEPARATOR.join(steps[:depth])


def _covers(path: str, pages: tuple[str, ...], *, below: bool) -> bool:
    return any(page == path or (below and page.startswith(path + PATH_SEPARATOR)) for page in pages)


def _language(name: str) -> str:
    return name.replace("_", "-").partition("-")[0].lower()
