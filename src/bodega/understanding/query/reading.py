"""How is a query read so that every finding can point at what was typed? Folded text with the way back, and its words.

Idea: what people do not distinguish is folded character by character (the rules of `language.fold`), and each folded
character remembers which typed characters it came from. Patterns and dictionaries work on the folded text; a page
shows, and undoes, the typed part.

Cost: 3 microseconds for ASCII, 30 for a Chinese query of 20 characters. At most `LONGEST` characters are read.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import rjieba

from bodega.understanding import language

LONGEST = 500
"""Characters of a query that are read; nobody types more, only machines do."""
MOST_TOKENS = 48
HAN = "\u3400-\u4dbf\u4e00-\u9fff"
_TOKEN = re.compile(rf"[{HAN}]+|[\u3040-\u30ff]+|(?:(?![{HAN}\u3040-\u30ff])[^\W_])+(?:\.(?=[0-9])[0-9]+)?")
_SAME = {
    **dict.fromkeys("\u201c\u201d\u2033\u301d\u301e", '"'),
    **dict.fromkeys("\u2032\u2018", "'"),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    **dict.fromkeys("\u301c\uff5e", "~"),
    "\u3001": ",",
    "\u3002": ".",
    "\u00a5": "¥",
}
_APOSTROPHES = "'\u2019\u02bc"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Token(NamedTuple):
    """A word of the folded text: [low, high) are positions in it."""

    word: str
    low: int
    high: int

    @property
    def han(self) -> bool:
        return "\u3400" <= self.word[0] <= "\u9fff"


@dataclass(frozen=True, slots=True)
class Reading:
    """`text` is the folded query; its character i came from typed[start[i]:end[i]]."""

    typed: str
    text: str
    start: Sequence[int]
    end: Sequence[int]

    def span(self, low: int, high: int) -> tuple[int, int]:
        """Where folded [low, high), not empty, was typed."""
        return self.start[low], self.end[high - 1]

    def tokens(self) -> list[Token]:
        """The words in order, Chinese cut by jieba; at most `MOST_TOKENS`."""
        found: list[Token] = []
        for match in _TOKEN.finditer(self.text):
            low = match.start()
            for word in words_of(match[0]):
                found.append(Token(word, low, low + len(word)))
                low += len(word)
            if len(found) >= MOST_TOKENS:
                break
        return found[:MOST_TOKENS]

    def replaced(self, edits: Sequence[tuple[int, int, str]]) -> Reading:
        """The same query with parts of the folded text said otherwise; edits are [low, high) in order, apart."""
        text, start, end, at = "", list[int](), list[int](), 0
        for low, high, words in (*edits, (len(self.text), len(self.text), "")):
            text += self.text[at:low] + words
            start += self.start[at:low]
            end += self.end[at:low]
            if words:
                first, last = self.span(low, high)
                start += [first] * len(words)
                end += [last] * len(words)
            at = high
        return Reading(self.typed, text, start, end)


def read(typed: str) -> Reading:
    """Fold a query, at most `LONGEST` characters of it, keeping the way back.

    >>> reading = read("Ｒed Café 紅色")
    >>> reading.text, reading.span(4, 8)
    ('red cafe 红色', (4, 8))
    """
    head = typed[:LONGEST]
    if head.isascii() and "'" not in head:
        return Reading(head, _CONTROL.sub(" ", head.lower()), range(len(head)), range(1, len(head) + 1))
    pieces: list[str] = []
    for place, char in enumerate(head):
        inside = char in _APOSTROPHES and head[place - 1 : place].isalnum() and head[place + 1 : place + 2].isalpha()
        mark = "\u0300" <= char <= "\u036f" and pieces and pieces[-1].isascii()
        pieces.append("" if inside or mark else _folded(char))
    text = "".join(pieces)
    simple = language.simplified(text)
    if len(simple) != len(text):
        simple = "".join(one if len(one := language.simplified(char)) == 1 else char for char in text)
    start = [place for place, piece in enumerate(pieces) for _ in piece]
    end = [place + 1 for place, piece in enumerate(pieces) for _ in piece]
    return Reading(head, simple, start, end)


def words_of(run: str) -> list[str]:
    """One chunk of folded text as words: Chinese is cut by jieba, anything else is one word."""
    if "\u3400" <= run[0] <= "\u9fff" and len(run) > 1:
        cut: list[str] = rjieba.cut(run)
        return cut
    return [run]


def key_of(words: Sequence[str]) -> str:
    """Words as one text: a blank stands between two words unless one of them is Chinese.

    >>> key_of(["hewlett", "packard"]), key_of(["无线", "耳机"])
    ('hewlett packard', '无线耳机')
    """
    out = words[0] if words else ""
    for before, word in pairwise(words):
        glued = "\u3400" <= before[-1] <= "\u9fff" or "\u3400" <= word[0] <= "\u9fff"
        out += word if glued else " " + word
    return out


def clean(text: str) -> str:
    """A query fit to be searched: NFKC, simplified characters, control characters and runs of blanks as one blank."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    folded = unicodedata.normalize("NFKC", text)
    kept = "".join(" " if _unseen(char) else char for char in folded)
    return " ".join(language.simplified(kept).split())


def _unseen(char: str) -> bool:
    return (
        unicodedata.category(char) in ("Cc", "Cs", "Co", "Zl", "Zp") or char in "\u200e\u200f\u202a\u202b\u202c\ufeff"
    )


@lru_cache(maxsize=1 << 14)
def _folded(char: str) -> str:
    same = _SAME.get(char)
    if same is not None:
        return same
    category = unicodedata.category(char)
    if category[0] in "CZ":
        return "" if category == "Cf" else " "
    return language.fold(char).strip(" ") if char not in "\"'" else char
