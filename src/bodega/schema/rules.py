"""What may a merchandiser decide? A rule as data: *when* it applies, and what it *then* does to the page.

    Rule(id="tv-week", when=When(queries=(Phrase("tv"),)), then=(Pin("lg-oled", 1), Boost(factor=3, filters=(...,))))

A rule is JSON on every border (file, HTTP, store), never code: unknown keys are refused with their path, and
`checked_rule` refuses what has the right shape and cannot be meant: a text with control characters, an address that
runs script, a pin without a position, a schedule that ends before it starts. Texts are plain: a page escapes them like
any product title.
How rules are matched and what they do to a list is `ranking.rules`; this file holds no behaviour but the checking.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from bodega.errors import BadRequest
from bodega.schema.nouns import Filter

RULES_LIMIT = 10_000
"""Rules of one shop."""
PINS_LIMIT = 100
"""Pins of one rule."""
POSITION_LIMIT = 1_000
SIZE_LIMIT = 200_000
"""Bytes of one rule as JSON."""
PHRASE_WORDS = 10
"""Words (or Chinese characters: four times as many) of one phrase that a query is compared with."""
VALUES_LIMIT = 200
FIELD_LIMIT = 256
EVERYWHERE = "*"
"""As a place: every list of the shop."""
SEARCH_PLACES = ("category", "search")
"""Where a rule applies that names no place."""
RESERVED_IDS = frozenset({"audit", "preview", "undo"})
"""They are addresses of the HTTP API."""

RuleId = Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$|^$")]
Short = Annotated[str, Meta(min_length=1, max_length=200)]
Name = Annotated[str, Meta(max_length=200)]
Note = Annotated[str, Meta(max_length=2_000)]
Address = Annotated[str, Meta(max_length=2_048)]
ItemId = Annotated[str, Meta(min_length=1, max_length=1_024)]
Items = Annotated[tuple[ItemId, ...], Meta(max_length=1_000)]
Filters = Annotated[tuple[Filter, ...], Meta(max_length=10)]
Factor = Annotated[float, Meta(gt=1, le=100)]
Moment = Annotated[datetime, Meta(tz=True)]


class Match(StrEnum):
    EXACT = "exact"
    CONTAINS = "contains"
    STARTS = "starts"


class Weekday(StrEnum):
    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class SegmentKind(StrEnum):
    NEW = "new"
    RETURNING = "returning"
    LIKES = "likes"
    NAMED = "named"


class Phrase(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Words that a query must be (`exact`), hold in this order (`contains`), or start with (`starts`).

    Compared as the search compares words: case, accents and endings do not count, so "Red Dresses" is "red dress".
    """

    text: Short
    match: Match = Match.EXACT


class Segment(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Who asks: `new` (no history with this shop), `returning`, one who `likes` a brand or category (at least so many
    events of interest), or a segment that the request `named`. Nobody is in any where `personal` is false."""

    kind: SegmentKind
    name: Name = ""
    """Of a named segment."""
    field: Name = ""
    """`likes`: a text field of the catalog, e.g. `brand`, `category`."""
    value: Name = ""
    """`likes`: its value; a category is a path, "Shoes > Trail"."""
    at_least: Annotated[int, Meta(ge=1, le=1_000)] = 1

    @property
    def key(self) -> str:
        """The segment as one text, by which facts and rules meet."""
        if self.kind is SegmentKind.NAMED:
            return f"named:{self.name}"
        if self.kind is SegmentKind.LIKES:
            return f"likes:{self.field}={self.value}:{self.at_least}"
        return self.kind.value


class When(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """All that is given must hold; of several values of one kind, any. Nothing given: every search and browse page."""

    queries: Annotated[tuple[Phrase, ...], Meta(max_length=100)] = ()
    categories: Annotated[tuple[Short, ...], Meta(max_length=100)] = ()
    """Browse pages of these paths ("Shoes > Trail") and, unless `below` is false, of everything below them."""
    below: bool = True
    places: Annotated[tuple[Short, ...], Meta(max_length=20)] = ()
    """Lists (`search`, `category`, `home`, `basket`, ...); `*` means all. Empty: search and category pages."""
    segments: Annotated[tuple[Segment, ...], Meta(max_length=20)] = ()
    languages: Annotated[tuple[Short, ...], Meta(max_length=20)] = ()
    start: Moment | None = None
    """From this moment on (UTC inside)."""
    end: Moment | None = None
    """Until just before this moment."""
    weekdays: Annotated[tuple[Weekday, ...], Meta(max_length=7)] = ()
    """On these days, in UTC."""


class _Action(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="do"):
    """What all actions share: their name stands under `do`."""


class Pin(_Action, frozen=True, tag="pin"):
    """Show an item at a position of the list, counted from 1 over all pages."""

    item: ItemId
    position: Annotated[int, Meta(ge=1, le=POSITION_LIMIT)]


class Boost(_Action, frozen=True, kw_only=True, tag="boost"):
    """Lift items (named, or passing all filters) by a factor: log(factor) times the spread of the list's scores."""

    items: Items = ()
    filters: Filters = ()
    factor: Factor = 2.0


class Bury(_Action, frozen=True, kw_only=True, tag="bury"):
    """Lower items; the opposite of a boost by the same factor."""

    items: Items = ()
    filters: Filters = ()
    factor: Factor = 2.0


class Hide(_Action, frozen=True, kw_only=True, tag="hide"):
    """Do not show these items; they are not counted either."""

    items: Items = ()
    filters: Filters = ()


class Narrow(_Action, frozen=True, tag="filter"):
    """Show only what passes all these filters (pinned items are shown all the same)."""

    filters: Filters


class Redirect(_Action, frozen=True, tag="redirect"):
    """Send the shopper to a page: `https://...`, `http://...`, or a path of this site, `/sale`."""

    url: Address


class ShowBanner(_Action, frozen=True, tag="banner"):
    """A message above the results."""

    text: Name = ""
    url: Address = ""
    image: Address = ""


class Replace(_Action, frozen=True, tag="replace"):
    """Search `by` instead of `words`; without words, instead of the whole query."""

    by: Name
    words: Name = ""


class Synonyms(_Action, frozen=True, tag="synonyms"):
    """Words that say the same: a query with one finds the others too. One way: only from the first to the others."""

    words: Annotated[tuple[Short, ...], Meta(min_length=2, max_length=20)]
    one_way: bool = False


Action = Pin | Boost | Bury | Hide | Narrow | Redirect | ShowBanner | Replace | Synonyms
Targeted = Boost | Bury | Hide


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One decision of a merchandiser. `version` is given by the store: the number of the change that made it so.

    >>> checked_rule(Rule(id="tv", when=When(queries=(Phrase("tv"),)), then=(Pin("oled-55", 1),))).then[0].position
    1
    """

    id: RuleId = ""
    """Letters, digits, `_.-`; left empty, the store draws one."""
    name: Name = ""
    when: When = When()
    then: Annotated[tuple[Action, ...], Meta(min_length=1, max_length=200)]
    priority: Annotated[int, Meta(ge=-1_000, le=1_000)] = 0
    """Among rules of equal precision the higher one counts first."""
    enabled: bool = True
    note: Note = ""
    author: Name = ""
    version: int = 0
    updated: datetime | None = None


_decode = msgspec.json.Decoder(Rule).decode
_encode = msgspec.json.Encoder(order="deterministic").encode
_URL_MARKS = re.compile(r"[\s\\<>\"'`\x00-\x1f\x7f]")


def rule_json(rule: Rule) -> bytes:
    """The rule as JSON; equal rules give equal bytes."""
    return _encode(rule)


def read_rule(data: bytes | str) -> Rule:
    """A rule from JSON, checked. Raises BadRequest with the path to what is wrong."""
    try:
        return checked_rule(_decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(
            "the rule is not valid JSON", code="rules.json", where="rule", allowed="JSON in UTF-8", got=str(error)
        ) from error
    except RecursionError as error:
        raise BadRequest(
            "the rule is nested too deeply", code="rules.deep", where="rule", allowed="what docs/rules.md shows"
        ) from error


def checked_rule(rule: Rule) -> Rule:
    """The rule itself when it can be meant. Raises BadRequest: what, where in the rule, what is allowed."""
    try:
        data = _encode(rule)
        rule = _decode(data)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise _bad(rule, "a value is missing, unknown or out of range", "what docs/rules.md shows", error) from error
    if len(data) > SIZE_LIMIT:
        raise _bad(rule, "the rule is too large", f"{SIZE_LIMIT:,} bytes", f"{len(data):,}")
    if rule.id in RESERVED_IDS:
        raise _bad(rule, "this id is an address of the API", "another id", rule.id)
    for where, text in _texts(msgspec.to_builtins(rule)):
        _plain(rule, where, text)
    _check_when(rule)
    for number, action in enumerate(rule.then):
        _check_action(rule, f"then[{number}]", action)
    _check_pins(rule)
    return rule


def _check_when(rule: Rule) -> None:
    when = rule.when
    if when.start and when.end and when.end <= when.start:
        raise _bad(rule, "the schedule ends before it starts", "end later than start", f"{when.start} to {when.end}")
    for phrase in when.queries:
        if not _has_word(phrase.text):
            raise _bad(rule, "a query condition holds no word", "words; leave `queries` empty for all", phrase.text)
    for place in when.places:
        if place != EVERYWHERE and not re.fullmatch(r"[a-z_]{1,40}", place):
            raise _bad(rule, "this cannot be a place", "search, category, home, ... or *", place)
    for segment in when.segments:
        given = {"name": segment.name, "field": segment.field, "value": segment.value}
        needed = {SegmentKind.NAMED: {"name"}, SegmentKind.LIKES: {"field", "value"}}.get(segment.kind, set())
        if {name for name, value in given.items() if value} != needed:
            allowed = " and ".join(sorted(needed)) or "no further key"
            raise _bad(rule, f"a segment of kind '{segment.kind}' needs other keys", allowed, given)


def _check_action(rule: Rule, where: str, action: Action) -> None:
    if isinstance(action, Targeted | Narrow):
        _check_target(rule, where, action)
    elif isinstance(action, Redirect):
        _check_address(rule, f"{where}.url", action.url)
    elif isinstance(action, ShowBanner):
        if not (action.text.strip() or action.image):
            raise _bad(rule, "a banner shows nothing", "a text, or an image", where)
        for name in ("url", "image"):
            if getattr(action, name):
                _check_address(rule, f"{where}.{name}", getattr(action, name))
    elif isinstance(action, Replace):
        if not _has_word(action.by) or (action.words and not _has_word(action.words)):
            raise _bad(rule, "words are needed to replace words", "words to search instead", action.by, where)
    elif isinstance(action, Synonyms) and not all(map(_has_word, action.words)):
        raise _bad(rule, "a synonym holds no word", "words", where)


def _check_target(rule: Rule, where: str, action: Targeted | Narrow) -> None:
    items = () if isinstance(action, Narrow) else action.items
    if not (items or action.filters):
        raise _bad(rule, "this action names nothing", "items, or filters", where)
    for each in action.filters:
        ends = [end for end in (each.low, each.high) if end is not None]
        if not each.field or not (each.values or ends):
            raise _bad(rule, "a filter needs a field, and values or a range", "field with values, low or high", where)
        if any(end != end for end in ends) or len(each.values) > VALUES_LIMIT or len(each.field) > FIELD_LIMIT:
            raise _bad(rule, "a filter is out of range", f"numbers, at most {VALUES_LIMIT} values", where)


def _check_pins(rule: Rule) -> None:
    pins = [action for action in rule.then if isinstance(action, Pin)]
    if len(pins) > PINS_LIMIT:
        raise _bad(rule, "too many pins", f"{PINS_LIMIT} a rule", len(pins))
    for what, values in (("position", [str(pin.position) for pin in pins]), ("item", [pin.item for pin in pins])):
        if len(set(values)) < len(values):
            twice = next(value for value in values if values.count(value) > 1)
            raise _bad(rule, f"two pins of one rule have the same {what}", f"each {what} once", twice)


def _check_address(rule: Rule, where: str, url: str) -> None:
    """An http(s) address of a named host, or a path of this site; nothing that a browser might run."""
    allowed = "https://host/..., http://host/... or a path that starts with one slash"
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError as error:
        raise _bad(rule, "this is no address", allowed, url, where) from error
    path = url.startswith("/") and not url.startswith("//")
    web = parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    if _URL_MARKS.search(url) or not port_is_fine or not (path or web):
        raise _bad(rule, "this address may not be given to a browser", allowed, url, where)


def _plain(rule: Rule, where: str, text: str) -> None:
    """No control characters (a note may have lines), nothing that turns the direction of writing around."""
    for char in text:
        kind = unicodedata.category(char)
        lines = where == "note" and char in "\n\t\r"
        if (kind in ("Cc", "Cs") and not lines) or char in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069":
            raise _bad(rule, "a text holds a control character", "plain text", f"U+{ord(char):04X}", where)


def _texts(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """(path, text) of every text in plain data."""
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(inner, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _texts(inner, f"{where}[{number}]")


def _has_word(text: str) -> bool:
    return any(char.isalnum() or unicodedata.category(char) == "So" for char in text)


def _bad(rule: Rule, what: str, allowed: str, got: object, where: str = "") -> BadRequest:
    name = f"rule {rule.id!r}" if rule.id else "rule"
    said = str(got) if isinstance(got, Exception) else got
    return BadRequest(what, where=f"{name}, {where}" if where else name, allowed=allowed, got=said)
