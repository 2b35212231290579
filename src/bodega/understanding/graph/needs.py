"""What is an item for? Needs ("running", "a gift for a runner") as the shop and its shoppers put them.

A need is what stands after "for", "ideal for", "perfect for", "designed for", before "gift", or after 适合, 适用于, 送,
in a description or in a query that many people asked. Lists are taken apart ("for running, yoga and the gym"). A need
is kept where `least` items serve it and not half of the shop does. Items whose title or attributes hold all words of a
need serve it too, half as surely. Cost: 20 microseconds a description. Not for: conditions of a query ("for under 50":
numbers are no need), meaning beyond words (`dense` does that).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bodega.understanding import language

LONGEST = 4_000
"""Characters of a text that are read."""
WORDS = 4
"""Most words of a need; Chinese: most characters are `HAN`."""
HAN = 8
ASIDE = 0.5
"""How surely an item serves a need that is only among the words of its title and attributes."""

_LEAD = (
    r"(?:ideal|perfect|great|good|best|designed|suitable|made|built|suited|excellent|essential|recommended|gift) for"
)
_ENGLISH = re.compile(rf"\b(?:{_LEAD}|for|gift for)\s+((?:[^\W\d_][\w'-]*[ ,/&]*){{1,12}})", re.IGNORECASE)
_GIFT = re.compile(r"\b((?:[^\W\d_]+ ){0,2}gifts?)\b", re.IGNORECASE)
_CHINESE = re.compile(r"(?:适合|适用于|适用|用于|专为)([\u4e00-\u9fff、和与及]{2,24})|(送[\u4e00-\u9fff]{1,4})")
_SPLIT = re.compile(r"\s*(?:,|/|&|\band\b|\bor\b|\bas well as\b|、|和|与|及)\s*", re.IGNORECASE)
_CUT = re.compile(
    r"\b(?:with|that|which|when|while|where|who|from|in|on|at|by|is|are|was|of|as|to|you|it|its|this|these|those|if"
    r"|because|but|so|than|then|during|after|before|under|over|has|have|can|will|more|all|any|every|each)\b.*",
    re.IGNORECASE | re.DOTALL,
)
_LEFT_OFF = re.compile(r"^(?:the|a|an|your|our|my|his|her|their|both|those|some)\s+", re.IGNORECASE)
_HAN_TAIL = re.compile(r"(?:使用|佩戴|穿着|穿|用|的|等).*$")
_NOTHING = (
    "example instance me them us him her sale free years days ages life long-lasting extra added maximum superior "
    "better easy ultimate total"
)
_EMPTY = frozenset(_NOTHING.split())


@dataclass(frozen=True, slots=True)
class Need:
    """Something that items are for: how people put it, its words (stems, in order), and who serves it how surely."""

    text: str
    words: tuple[str, ...]
    items: dict[int, float]


def said(text: str) -> Iterator[str]:
    """The needs that a text names, as it puts them.

    >>> list(said("Ideal for trail running, yoga and your daily commute.")), list(said("轻便，适合跑步和登山。"))
    (['trail running', 'yoga', 'daily commute'], ['跑步', '登山'])
    """
    text = text[:LONGEST]
    for found in _ENGLISH.finditer(text):
        for part in _SPLIT.split(found.group(1)):
            need = _LEFT_OFF.sub("", _CUT.sub("", part).strip())
            if need and len(need.split()) <= WORDS and need.casefold() not in _EMPTY:
                yield need
    for found in _GIFT.finditer(text):
        words = [word for word in found.group(1).split() if word.casefold() not in language.STOP_WORDS]
        if len(words) > 1:
            yield " ".join(words)
    if not text.isascii():
        for found in _CHINESE.finditer(language.simplified(text)):
            for part in _SPLIT.split(found.group(1) or found.group(2)):
                need = _HAN_TAIL.sub("", part)
                if 2 <= len(need) <= HAN:
                    yield need


def mine(
    texts: Sequence[str], queries: Iterable[tuple[str, Sequence[int]]], words: Sequence[frozenset[str]], least: int
) -> list[Need]:
    """The needs of a catalog, most served first (ties by their words).

    `texts` (n_items,) descriptions; `queries` those that may be told, each with the items chosen after it; `words`
    (n_items,) stems of title and attributes; `least`: items that must serve a need.
    """
    served: dict[tuple[str, ...], dict[int, float]] = {}
    spelled: dict[tuple[str, ...], Counter[str]] = {}
    for row, text in enumerate(texts):
        for need in said(text) if text else ():
            key = _key(need)
            if key:
                served.setdefault(key, {})[row] = 1.0
                spelled.setdefault(key, Counter())[need.casefold()] += 1
    for text, items in queries:
        for need in said(text):
            key = _key(need)
            if key:
                served.setdefault(key, {}).update(dict.fromkeys(items, 1.0))
                spelled.setdefault(key, Counter())[need.casefold()] += 1
    most = max(len(texts) // 2, least)
    kept = {key: items for key, items in served.items() if len(items) >= least}
    for key, serving in kept.items():
        for row in _holding(key, words):
            serving.setdefault(row, ASIDE)
    found = [
        Need(min(spelled[key].items(), key=lambda pair: (-pair[1], pair[0]))[0], key, serving)
        for key, serving in kept.items()
        if len(serving) <= most
    ]
    return sorted(found, key=lambda need: (-len(need.items), need.words))


def _key(need: str) -> tuple[str, ...]:
    return tuple(language.stem(word) for word in language.words(need) if word not in language.STOP_WORDS)[:WORDS]


def _holding(key: tuple[str, ...], words: Sequence[frozenset[str]]) -> Iterator[int]:
    """Items among whose words all of these are. Cost: a set test an item for each need."""
    wanted = frozenset(key)
    return (row for row, own in enumerate(words) if wanted <= own)
