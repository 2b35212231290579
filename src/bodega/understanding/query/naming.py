"""By which names do people call this shop's brands, categories, colours and attributes? What the gazetteer is made of.

Idea: every value of a column of words is a name, and so are its parts and short forms: "Apple/苹果" is apple and 苹果,
"Nike, Inc." is nike, "Hoodies & Sweatshirts" is hoodies, "TP-Link" is tplink, "Hewlett-Packard" is hp where titles of
its products say so. A colour is also called by its family's names in English and Chinese.

Cost: 20 microseconds a value. Not for: free text; columns with many different or long values are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from bodega.feeds.mapping import plain
from bodega.schema import ItemTable
from bodega.schema.table import PATH_SEPARATOR, Coded
from bodega.understanding import language
from bodega.understanding.query import colours
from bodega.understanding.query.measures import SIZE_COLUMNS
from bodega.understanding.query.reading import HAN, Token, key_of, read

KINDS = ("brand", "category", "colour", "size", "attribute")
MOST_WORDS = 6
MOST_VALUES = 3_000
"""A column of attributes with more different values is text, not a choice."""
LONGEST_VALUE = 40
_NO_CHOICES = (
    "kind seller sku upc ean gtin gtin8 gtin12 gtin13 gtin14 mpn isbn asin barcode url image images imageurl id "
    "description title name language model modelnumber keywords"
)
_SKIPPED = frozenset(_NO_CHOICES.split())
_SAYS_NOTHING = (
    "yes no true false none other others unknown na n/a all new sale more misc various default general set one "
    "free no1 home best top 其他 其它 无 是 否 全部 通用"
)
_EMPTY = frozenset(_SAYS_NOTHING.split())
_COMPANY = "inc llc ltd co corp corporation company gmbh limited ag plc"
_LEGAL = frozenset(_COMPANY.split())
_BRACKETS = re.compile(r"[(（\[【][^()（）\[\]【】]*[)）\]】]")
_HAN = re.compile(f"[{HAN}]")
_PARTS = re.compile(r"[/|()（）\[\]【】]")
_LIST = re.compile(r"\s*(?:&|/|,|，|、|\+|\band\b)\s*", re.IGNORECASE)
_INITIALS_SHARE = 0.2
_INITIALS_TITLES = 50


class Name(NamedTuple):
    """One way to say some values of a field. `key` is folded; singular for all but brands."""

    key: str
    kind: str
    field: str
    values: tuple[str, ...]
    items: int
    """Items with one of these values."""


def names_of(items: ItemTable) -> Iterator[Name]:
    """Every name, repeats included."""
    least = 1 if len(items) < 2_000 else 2
    for field in sorted(items.coded):
        column = items.coded[field]
        if not len(column.vocabulary) or plain(field) in _SKIPPED:
            continue
        count = np.bincount(column.codes, minlength=len(column.vocabulary))
        values = [(value, n) for value, n in zip(column.vocabulary, count.tolist(), strict=True) if n >= least]
        if field == "brand":
            yield from _brands(items, column, values)
        elif field == "category":
            yield from _categories(values)
        elif len(column.vocabulary) <= MOST_VALUES:
            if colours.is_colour_field(field):
                yield from _colours(field, values)
            yield from _attributes(field, values)


def surface_key(tokens: list[Token]) -> str:
    return key_of([token.word for token in tokens])


def plain_key(tokens: list[Token]) -> str:
    """The words without their plurals. Stems would be too coarse: "legs" are no leggings, "printer" is not printed."""
    return key_of([singular(token.word) for token in tokens])


def singular(word: str) -> str:
    """An English plural as what most singulars are; the same for names and for queries is all it must be.

    >>> [singular(word) for word in ("dresses", "shoes", "accessories", "glass", "tvs", "耳机")]
    ['dress', 'shoe', 'accessory', 'glass', 'tv', '耳机']
    """
    if len(word) < 3 or word[-1] != "s" or not word.isascii() or word[-2:] in ("ss", "us", "is"):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("sses", "shes", "ches", "xes", "zes")) else word[:-1]


def _brands(items: ItemTable, column: Coded, values: list[tuple[str, int]]) -> Iterator[Name]:
    rows = np.argsort(column.codes, kind="stable")
    ends = np.searchsorted(column.codes[rows], np.arange(len(column.vocabulary) + 1))
    code_of = {value: code for code, value in enumerate(column.vocabulary)}
    for value, count in values:
        for part in _aliases(value):
            tokens = read(part[:80]).tokens()
            while len(tokens) > 1 and tokens[-1].word in _LEGAL:
                tokens = tokens[:-1]
            if not _sayable(tokens):
                continue
            yield Name(surface_key(tokens), "brand", "brand", (value,), count)
            if len(tokens) > 1 and not any(token.han for token in tokens):
                yield Name("".join(token.word for token in tokens), "brand", "brand", (value,), count)
                code = code_of[value]
                owners = column.owner[rows[ends[code] : ends[code + 1]][:_INITIALS_TITLES]]
                initials = "".join(token.word[0] for token in tokens)
                taken = initials == tokens[0].word or initials in language.STOP_WORDS or len(initials) < 2
                if not taken and _said_in(initials.upper(), [items.titles[int(row)] for row in owners]):
                    yield Name(initials, "brand", "brand", (value,), count)


def _aliases(value: str) -> list[str]:
    """A brand and its other names: both sides of a bar; what stands in brackets only in another script."""
    outside = _BRACKETS.sub(" ", value)
    han = bool(_HAN.search(outside))
    inside = [part for part in _BRACKETS.findall(value) if bool(_HAN.search(part)) != han]
    bare = [re.sub(r"[()（）\[\]【】]", "", part) for part in inside]
    return list(dict.fromkeys([value, *(part.strip() for side in (outside, *bare) for part in re.split("[/|]", side))]))


def _said_in(word: str, titles: list[str]) -> bool:
    """Do enough of these titles hold the word?"""
    pattern = re.compile(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])")
    return len(titles) >= 3 and sum(bool(pattern.search(title)) for title in titles) >= _INITIALS_SHARE * len(titles)


def _categories(values: list[tuple[str, int]]) -> Iterator[Name]:
    for path, count in values:
        name = path.rpartition(PATH_SEPARATOR)[2]
        for part in dict.fromkeys([name, *_LIST.split(name)]):
            tokens = read(part[:80]).tokens()
            if _sayable(tokens):
                yield Name(plain_key(tokens), "category", "category", (path,), count)


def _attributes(field: str, values: list[tuple[str, int]]) -> Iterator[Name]:
    kind = "colour" if colours.is_colour_field(field) else "size" if plain(field) in SIZE_COLUMNS else "attribute"
    for value, count in values:
        if len(value) > LONGEST_VALUE:
            continue
        for part in dict.fromkeys([value, *_PARTS.split(value)]):
            tokens = read(part).tokens()
            if len(tokens) <= 4 and _sayable(tokens):
                yield Name(plain_key(tokens), kind, field, (value,), count)


def _colours(field: str, values: list[tuple[str, int]]) -> Iterator[Name]:
    """Every colour name, with the values that say it, or else the values of its family."""
    said = [
        (value, count, set(read(value).text.replace("/", " ").split()), colours.families(value))
        for value, count in values
    ]
    for name, family in colours.FAMILY.items():
        english = colours.english(name) or name
        own = [(value, count) for value, count, words, _ in said if name in words or english in words]
        if not own and name not in colours.SURE:
            continue
        general = name == family or colours.english(name) == family
        kin = own if own and not general else [(value, count) for value, count, _, held in said if family in held]
        if kin:
            tokens = read(name).tokens()
            yield Name(plain_key(tokens), "colour", field, tuple(value for value, _ in kin), sum(n for _, n in kin))


def _sayable(tokens: list[Token]) -> bool:
    """Words somebody may type for it: not empty, not one letter, not a number, not "other"."""
    if not 0 < len(tokens) <= MOST_WORDS:
        return False
    if len(tokens) == 1:
        word = tokens[0].word
        alone = len(word) > 1 or (tokens[0].han and word in colours.FAMILY)
        return alone and not word.replace(".", "").isdigit() and word not in _EMPTY and word not in language.STOP_WORDS
    return not all(token.word.isdigit() for token in tokens)
