"""Which texts does an item have, and which words stand where in them?

Idea: a passage is one field of an item (title, description, category path, long attribute, article number, review),
folded character by character, so that every word knows which characters of the field it is. Chinese runs are cut by
jieba. Cost: about .3 microseconds a word. Not for: descriptions beyond 4,000 characters; their beginning is read.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import rjieba

from bodega.schema import Item
from bodega.schema.table import PATH_SEPARATOR
from bodega.understanding import language
from bodega.understanding.query.naming import singular

TITLE_LIMIT, TEXT_LIMIT, CODE_LIMIT = 500, 4_000, 80
PASSAGES = 12
"""At most so many texts of one item are read."""
LONG_VALUE = 40
"""An attribute of more characters is a text, not a value."""
_HAN = "\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_HAN}]+|(?:(?![{_HAN}])[^\W_])+(?:['’](?=[a-z])[a-z]+)?")
_HAN_WORD = re.compile(rf"[{_HAN}]")


class Word(NamedTuple):
    """A folded word, singular where it is an English plural; characters [start, end) of the field."""

    text: str
    start: int
    end: int


class Passage(NamedTuple):
    """One text of an item. `place`: `title`, `text`, `category`, `code` or `review`."""

    field: str
    place: str
    text: str
    words: list[Word]


class _Folding(dict[int, str]):
    """Character -> folded character, one for one: what `str.translate` asks."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        folded = unicodedata.normalize("NFKC", char).casefold()
        bare = unicodedata.normalize("NFD", folded)[:1] if folded and folded[0].isalpha() and code < 0x250 else folded
        self[code] = found = bare if len(bare) == 1 else char.lower()[:1]
        return found


_FOLDING = _Folding()


def folded(text: str) -> str:
    """The text folded, character for character.

    >>> folded("ＣAFÉ 紅色")
    'cafe 红色'
    """
    if text.isascii():
        return text.lower()
    one = text.translate(_FOLDING)
    simple = language.simplified(one)
    return simple if len(simple) == len(one) else one


def words_in(text: str) -> list[Word]:
    """The words of a text with their places.

    >>> [word.text for word in words_in("Men's Wool Socks 纯棉袜子")]
    ['men', 'wool', 'sock', '纯棉', '袜子']
    """
    low = folded(text)
    out: list[Word] = []
    for match in _WORD.finditer(low):
        run, start = match[0], match.start()
        if _HAN_WORD.match(run):
            for word in rjieba.cut(run) if len(run) > 1 else [run]:
                out.append(Word(word, start, start + len(word)))
                start += len(word)
        else:
            out.append(Word(_plain(run), start, match.end()))
    return out


def _plain(word: str) -> str:
    if len(word) > 2 and word[-2] in "'’":
        word = word[:-2] if word[-1] == "s" else word.replace("'", "").replace("’", "")
    return singular(word)


def key_of(text: str) -> str:
    """A value as the words of a text would say it.

    >>> key_of("Men's Jackets"), key_of("TP-Link")
    ('men jacket', 'tp link')
    """
    return " ".join(word.text for word in words_in(text[:TITLE_LIMIT]))


def passages_of(item: Item, more: Iterable[str] = ()) -> list[Passage]:
    """What can be read of an item; `more` are texts that others wrote of it."""
    found = [_passage("title", "title", item.title[:TITLE_LIMIT])] if item.title else []
    if item.category:
        found.append(_passage("category", "category", PATH_SEPARATOR.join(item.category)[:TITLE_LIMIT]))
    if item.description:
        found.append(_passage("description", "text", item.description[:TEXT_LIMIT]))
    for name, value in item.attributes.items():
        if isinstance(value, str) and len(value) > LONG_VALUE and len(found) < PASSAGES - 1:
            found.append(_passage(name, "text", value[:TEXT_LIMIT]))
    if not item.id.isdigit():
        found.append(_passage("id", "code", item.id[:CODE_LIMIT]))
    found += [_passage("review", "review", text[:TEXT_LIMIT]) for text in more]
    return found[: 2 * PASSAGES]


@lru_cache(maxsize=1_024)  # variants of one product share their texts
def _passage(field: str, place: str, text: str) -> Passage:
    return Passage(field, place, text, words_in(text))
