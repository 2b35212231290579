"""Text as shops export it, made fit to show and to index: HTML to text, control characters out, NFC, cut to length.

The standard library parses (html.parser, ast.literal_eval for lists that Python printed); nothing is stripped by
pattern. Cost: 1 us for a clean ASCII title, about 50 us for a paragraph of HTML. Not for: making HTML safe to embed
(the storefront escapes whatever it shows).
"""

from __future__ import annotations

import ast
import html
import re
import unicodedata
from contextlib import suppress
from functools import lru_cache
from html.parser import HTMLParser

HIDDEN = frozenset({"style", "script", "head", "template", "noscript", "svg"})
_BLOCKS = (
    "address article blockquote br dd div dl dt figcaption footer h1 h2 h3 h4 h5 h6 header hr li ol p pre section"
    " table td th tr ul"
)
BLOCKS = frozenset(_BLOCKS.split())
HTML_FACTOR = 8
"""Markup is parsed up to this many times the length kept: descriptions carry about 3 characters of markup a letter."""
PIECE, PENDING = 4_096, 512
LIST_LIMIT = 100_000
"""Longest printed list that is parsed; 300,000 empty texts take Python's parser 13 s."""
_QUOTES = ("'", '"')
_BETWEEN_QUOTES = re.compile("['\"], ['\"]")
_TAG = re.compile(r"<[A-Za-z/!?]")
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACES = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n[ \n]*")


def clean_line(text: str, limit: int) -> str:
    """One line of text: a title, a name, a value. Longer than `limit` characters is cut."""
    if text.isascii() and text.isprintable() and len(text) <= limit and "&" not in text and "<" not in text:
        return text if not (text[:1] == " " or text[-1:] == " " or "  " in text) else " ".join(text.split())
    return " ".join(clean_text(text, limit).split())


def clean_word(text: str) -> str:
    """`clean_line` for what repeats over many items (brands, categories, values), cut at 200 characters."""
    return _clean_word(text if len(text) < 1_000 else text[:1_000])


@lru_cache(maxsize=1 << 15)
def _clean_word(text: str) -> str:
    return clean_line(text, 200)


def clean_text(text: str, limit: int) -> str:
    """Several lines of text: a description. Lists as Python prints them are joined, HTML becomes plain text."""
    if text[:1] == "[" and text.rstrip()[-1:] == "]":
        text = _unlisted(text)
    text = text[: limit * HTML_FACTOR]
    if _TAG.search(text):
        text = text_of_html(text)
    elif "&" in text:
        text = html.unescape(text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", _SURROGATE.sub("\ufffd", text))
    text = _UNWANTED.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _LINES.sub("\n", _SPACES.sub(" ", text)).strip()
    return text if len(text) <= limit else text[:limit].rstrip()


def text_of_html(markup: str) -> str:
    """What a reader would see: blocks on lines of their own, no styles, scripts or comments.

    Markup is fed in pieces, and more than 512 characters of a tag or comment that is never closed are dropped: at the
    end of its input html.parser tries every "<" again against all that follows (100,000 times "<a " took a minute).
    """
    reader = _Reader()
    for start in range(0, len(markup), PIECE):
        try:
            reader.feed(markup[start : start + PIECE])
        except AssertionError:  # html.parser on "<![" without a name
            reader.reset()
    if len(reader.rawdata) < PENDING:
        with suppress(AssertionError):
            reader.close()
    return "".join(reader.parts)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.hidden += tag in HIDDEN
        if tag in BLOCKS:
            self.parts.append("\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in HIDDEN:
            self.hidden = max(self.hidden - 1, 0)
        if tag in BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data)


def _unlisted(text: str) -> str:
    """The texts of a printed list, one a line. Where quotes inside quotes keep it from being parsed (9 of 3,459 real
    descriptions), the brackets go and the text is parted at `', '`."""
    text = text.strip()
    try:
        values = ast.literal_eval(text if len(text) <= LIST_LIMIT else "")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        quoted = text[1:2] in _QUOTES and text[-2:-1] in _QUOTES and len(text) > 4
        return "\n".join(_BETWEEN_QUOTES.split(text[2:-2])).replace("\\n", "\n") if quoted else text
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return text
    return "\n".join(value for value in values if value.strip())
