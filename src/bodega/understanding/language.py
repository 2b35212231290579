"""What words does a text hold? The same answer for a product and for a query, so that they can meet.

Idea: fold what people do not distinguish (case, full width, accents of Latin letters, apostrophes, traditional and
simplified Chinese), cut the rest into *chunks*, and each chunk into *parts*: "Wi-Fi" is the chunk `wifi` with the parts
`wi` and `fi`; "55inch" is `55inch` with `55` and `inch`; Chinese runs are segmented by jieba in search mode. `tokens`
are the stems of all parts plus the whole chunk where it has several parts: so "wifi", "wi-fi" and "wi fi" find each
other.
A letter part of one character is not cut off ("4k", "1080p", "i7" stay whole): alone it would be noise.

Cost: about 10 microseconds a title of 10 words; the stems of words seen before are remembered.
Not for: correcting spelling (`retrieval/lexical`), units and attributes, or languages with heavy compounding.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import Any

import rjieba
import Stemmer

LONGEST_TOKEN = 40
"""Characters of a token that count; longer ones (hashes, links, attacks) are cut."""
LONGEST_CHUNK = 1_000
"""Characters of an unbroken run that are looked at."""
LONGEST_COMPOUND = 4
"""Chunks of more parts than this ("state-of-the-art-sound") are only their parts."""

_STOP = "a an and are as at be by for from in is it of on or that the this to with"
STOP_WORDS = frozenset(_STOP.split())
"""English words that a document need not hold to match a query (they still score where it does)."""

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_KANA = "\u3040-\u30ff"
_EMOJI = "\u2600-\u27bf\U0001f300-\U0001faff"
_WORD = rf"(?:(?![{_HAN}{_KANA}])[^\W_])"
_NUMBER_DOT = r"(?:(?<=[0-9])[.,](?=[0-9]))"
_CHUNK = re.compile(rf"[{_HAN}]+|[{_KANA}]+|[{_EMOJI}]|{_WORD}(?:{_WORD}|{_NUMBER_DOT}|-(?={_WORD}))*")
_ASCII_CHUNK = re.compile(r"[a-z0-9](?:[a-z0-9]|(?<=[0-9])[.,](?=[0-9])|-(?=[a-z0-9]))*")
_PART = re.compile(r"[0-9]+(?:\.[0-9]+)*|[^\W\d_]+")
_APOSTROPHE = re.compile(r"(?<=\w)['\u2019\u02bc](?=\w)")
_INCH = re.compile("(?<=[0-9]) ?(?:[\"\u201d]|''|\u2032\u2032)")
_THOUSANDS = re.compile(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))")
_MARKS = re.compile("(?<=[a-zA-Z])[\u0300-\u036f]+")
_HAN_START = re.compile(f"[{_HAN}]")
_HAN_RUN = re.compile(f"[{_HAN}]+")

_stemmer = Stemmer.Stemmer("english", 0)

Chunk = tuple[str, tuple[str, ...]]
"""(the whole chunk, or "" when it is not a word of its own; its parts in order)."""


def fold(text: str) -> str:
    """What people do not distinguish made equal: NFKC, case, accents of Latin letters, apostrophes, inch marks,
    traditional Chinese characters.

    >>> fold("Levi’s Café 55”"), fold("紅色連衣裙")
    ('levis cafe 55 inch ', '红色连衣裙')
    """
    text = text.casefold()
    if not text.isascii():
        text = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text).casefold())
        text = simplified(unicodedata.normalize("NFC", _MARKS.sub("", text)))
    if not text.isalpha():
        quoted = text.lstrip()[:1] in {'"', "\u201c", "\u201d"}  # the mark at the end of "playstation 3" is no inch
        text = _APOSTROPHE.sub("", text if quoted else _INCH.sub(" inch ", text))
    return text


def simplified(text: str) -> str:
    """Traditional Chinese characters as simplified ones, the rest as it is (1 microsecond for a title; opencc).

    >>> simplified("無線藍牙耳機 Sony")
    '无线蓝牙耳机 Sony'
    """
    return _HAN_RUN.sub(_simplified, text)


def chunks(text: str) -> list[Chunk]:
    """The chunks of a text in order, each with its parts (surface forms: folded, not stemmed).

    >>> chunks("Wi-Fi 55inch 4K tv")
    [('wifi', ('wi', 'fi')), ('55inch', ('55', 'inch')), ('', ('4k',)), ('', ('tv',))]
    """
    folded = fold(text)
    found = (_ASCII_CHUNK if folded.isascii() else _CHUNK).findall(folded)
    return [_chunk(raw[:LONGEST_CHUNK]) for raw in found]


def words(text: str) -> list[str]:
    """All parts in order, not stemmed: what spelling and suggestions work on."""
    return [part for _, parts in chunks(text) for part in parts]


def stem(word: str) -> str:
    """The stem of a folded word (Snowball English for ASCII letters; anything else is its own stem).

    >>> stem("shoes"), stem("running"), stem("4k"), stem("耳机")
    ('shoe', 'run', '4k', '耳机')
    """
    return _stem(word)


def tokens(text: str, language: str = "") -> list[str]:
    """The index terms of a text: stems of all parts in order, then the compounds.

    `language` ("en", "zh" or empty) is a hint that only matters for ASCII text, which is stemmed as English
    unless it says otherwise.

    >>> tokens("Running shoes, Wi-Fi")
    ['run', 'shoe', 'wi', 'fi', 'wifi']
    """
    found = chunks(text)
    stemmed = language in ("", "en", "zh")
    out = [_stem(part) if stemmed else part for _, parts in found for part in parts]
    out += [_stem(whole) if stemmed else whole for whole, _ in found if whole]
    return out


def detect(text: str) -> str:
    """`zh` where a fifth or more of the letters are Chinese characters, else `en` (by script, no model).

    >>> detect("蓝牙耳机 Sony"), detect("Sony headphones")
    ('zh', 'en')
    """
    letters = sum(char.isalpha() for char in text)
    return "zh" if len(_HAN_START.findall(text)) * 5 > letters else "en"


def _simplified(run: re.Match[str]) -> str:
    converted: str = _converter().convert(run[0])
    return converted


@cache
def _converter() -> Any:
    """opencc's dictionary of characters and phrases, opened at the first Chinese text (15 ms)."""
    from opencc import OpenCC

    return OpenCC("t2s", include_tofu_risk_dictionaries=False)


@lru_cache(maxsize=200_000)
def _stem(word: str) -> str:
    return _stemmer.stemWord(word) if word.isascii() and word.isalpha() else word


@lru_cache(maxsize=100_000)
def _chunk(raw: str) -> Chunk:
    first = raw[0]
    if _HAN_START.match(first):
        return "", tuple(_chinese(raw))
    if "\u3040" <= first <= "\u30ff":
        return "", tuple(_bigrams(raw))
    if raw.isalpha() or raw.isdecimal():
        return "", (raw[:LONGEST_TOKEN],)
    raw = _THOUSANDS.sub("", raw).replace(",", ".")
    parts = [part[:LONGEST_TOKEN] for piece in raw.split("-") for part in _parts(piece)]
    whole = raw.replace("-", "")[:LONGEST_TOKEN]
    compound = 1 < len(parts) <= LONGEST_COMPOUND
    return whole if compound else "", tuple(parts)


def _parts(piece: str) -> list[str]:
    """Letters and digits apart, unless that leaves a single letter: "wh1000xm" is cut, "1080p" is not."""
    parts = _PART.findall(piece)
    if len(parts) < 2 or any(len(part) == 1 and not part.isdecimal() for part in parts):
        return [piece]
    return parts


def _chinese(run: str) -> list[str]:
    """Jieba in search mode; neighbouring single characters (words it does not know) also as pairs."""
    cut: list[str] = rjieba.cut_for_search(run)
    out, alone = [], ""
    for word in cut:
        if len(word) == 1:
            if alone:
                out.append(alone + word)
            alone = word
        else:
            alone = ""
        out.append(word)
    return out


def _bigrams(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)] or [run]
