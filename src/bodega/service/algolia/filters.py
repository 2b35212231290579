"""What may a hit be? Algolia's four ways to say it become one expression of ours.

    filters          brand:Acme AND (price < 50 OR NOT tags:used)        a string with a grammar (below)
    facetFilters     [["brand:Acme", "brand:Bolt"], "color:-red"]        AND of ORs, `-` excludes
    numericFilters   ["price>=10", "price<=50"]                          the same shape, comparisons
    tagFilters       ["sale", ["new", "used"]]                           the same shape, values of `tags`

Each leaf is made by a `Maker`, which knows the shop's fields (`fields.py`). Algolia's grammar wants ANDs of ORs; any
nesting is read here, with AND before OR as in SQL where there are no parentheses. Words are matched as they are, never
pasted into anything. Cost: about 100 us for a filter of ten conditions. Not for: Algolia's scores (`<score=2>`), which
are read and dropped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol

from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken, v_args
from lark.exceptions import VisitError

from bodega.errors import BadRequest
from bodega.service.algolia.conditions import Condition, either, every, opposite

LONGEST = 10_000
"""Characters of a filter string."""
DEPTH = 4
"""Lists within lists that are read; Algolia knows two."""
TAGS = "_tags"
_ESCAPED = re.compile(r"\\(.)", re.S)
_COMPARED = re.compile(r"\s*(?P<name>[^<>=!:]+?)\s*(?P<sign><=|>=|!=|<|>|=)\s*(?P<number>\S+)\s*")
_RANGE = re.compile(r"\s*(?P<name>[^<>=!]+?)\s*:\s*(?P<low>\S+)\s+(?:TO|to)\s+(?P<high>\S+)\s*")


class Maker(Protocol):
    """Turns what Algolia calls an attribute into conditions on the shop's fields."""

    def equal(self, attribute: str, value: str) -> Condition: ...

    def compared(self, attribute: str, sign: str, number: float) -> Condition: ...

    def between(self, attribute: str, low: float, high: float) -> Condition: ...


GRAMMAR = r"""
?start: either
?either: every | every ("OR" every)+   -> any_one
?every: one | one ("AND" one)+         -> every_one
?one: "NOT" one                        -> never
    | "(" either ")"
    | WORD SIGN WORD                   -> compared
    | STRING SIGN WORD                 -> compared
    | name ":" VALUE "TO" WORD         -> between
    | name ":" VALUE [SCORE]           -> equal
    | name ":" STRING [SCORE]          -> equal
    | name [SCORE]                     -> tagged
?name: WORD | STRING
SCORE: /<score=\d+>/
SIGN: "<=" | ">=" | "!=" | "<" | ">" | "="
STRING: /"(?:[^"\\]|\\.)*"/ | /'(?:[^'\\]|\\.)*'/
VALUE: /[^\s()"'<>][^\s()<>]*/
WORD: /[^\s()"':<>=!]+/
%ignore /\s+/
"""


@lru_cache(1)
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", lexer="contextual", maybe_placeholders=False)


def parsed(text: str, maker: Maker) -> Condition:
    """The condition that a filter string says. Raises BadRequest with the place where it stops making sense."""
    if not text.strip():
        return True
    if len(text) > LONGEST:
        raise BadRequest("the filter is too long", where="filters", allowed=f"{LONGEST:,} characters", got=len(text))
    try:
        tree = _parser().parse(text)
        return _Reader(maker).transform(tree)
    except VisitError as error:
        if isinstance(error.orig_exc, BadRequest):
            raise error.orig_exc from error
        raise
    except UnexpectedInput as error:
        ended = isinstance(error, UnexpectedToken) and error.token.type == "$END"
        at = len(text) if ended else max(error.pos_in_stream or 0, 0)
        raise BadRequest(
            "the filter cannot be read",
            where=f"filters, character {at + 1}",
            allowed='name:value, name:"two words", name < 5, name:1 TO 5, joined by AND, OR, NOT and ( )',
            got=text[at : at + 40] or "the end of the text",
        ) from error
    except RecursionError as error:
        raise BadRequest("the filter is nested too deeply", where="filters", allowed="fewer NOTs and ( )") from error


@v_args(inline=True)
class _Reader(Transformer[Token, Condition]):
    """Bottom up: what the grammar found, as conditions."""

    def __init__(self, maker: Maker) -> None:
        super().__init__()
        self._maker = maker

    def any_one(self, *parts: Condition) -> Condition:
        return either(parts)

    def every_one(self, *parts: Condition) -> Condition:
        return every(parts)

    def never(self, inner: Condition) -> Condition:
        return opposite(inner)

    def compared(self, name: Token, sign: Token, number: Token) -> Condition:
        return self._maker.compared(_plain(name), str(sign), _number(number))

    def between(self, name: Token, low: Token, high: Token) -> Condition:
        return self._maker.between(_plain(name), _number(low), _number(high))

    def equal(self, name: Token, value: Token, *_score: Token) -> Condition:
        return self._maker.equal(_plain(name), _plain(value))

    def tagged(self, value: Token, *_score: Token) -> Condition:
        return self._maker.equal(TAGS, _plain(value))


def facet_filters(given: Any, maker: Maker) -> Condition:
    """`facetFilters`: lists are AND outside and OR inside; `name:-value` (or `-name:value`) excludes."""
    return _nested(given, "facetFilters", lambda text: _faceted(text, maker))


def numeric_filters(given: Any, maker: Maker) -> Condition:
    """`numericFilters`: comparisons and `name:low TO high`, nested like facetFilters."""
    return _nested(given, "numericFilters", lambda text: _numeric(text, maker))


def tag_filters(given: Any, maker: Maker) -> Condition:
    """`tagFilters`: values of `tags`, nested like facetFilters; a leading `-` excludes."""
    return _nested(given, "tagFilters", lambda text: _tagged(text, maker))


def _nested(given: Any, where: str, leaf: Callable[[str], Condition]) -> Condition:
    """AND of (leaf or OR of leaves (or AND of leaves))."""
    if given is None or given == "":
        return True
    if isinstance(given, str):
        return every(leaf(text) for text in given.split(",") if text.strip())
    if not isinstance(given, list):
        raise _shape(where, given)
    return every(_level(part, where, leaf, 1) for part in given)


def _level(given: Any, where: str, leaf: Callable[[str], Condition], depth: int) -> Condition:
    if isinstance(given, str):
        return leaf(given) if given.strip() else True
    if not isinstance(given, list) or depth > DEPTH:
        raise _shape(where, given)
    parts = [_level(part, where, leaf, depth + 1) for part in given]
    if not parts:
        return True
    return either(parts) if depth % 2 else every(parts)


def _faceted(text: str, maker: Maker) -> Condition:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise BadRequest("a facet filter cannot be read", where="facetFilters", allowed="name:value", got=text)
    excluded = name.startswith("-")
    name = name.lstrip("-") if excluded else name
    value = value.strip()
    if value.startswith("-"):
        excluded, value = not excluded, value[1:]
    found = maker.equal(name.strip(), value.removeprefix("\\") if value.startswith("\\-") else value)
    return opposite(found) if excluded else found


def _numeric(text: str, maker: Maker) -> Condition:
    if found := _COMPARED.fullmatch(text):
        return maker.compared(found["name"], found["sign"], _number(found["number"]))
    if found := _RANGE.fullmatch(text):
        return maker.between(found["name"], _number(found["low"]), _number(found["high"]))
    name, _, value = text.rpartition(":")
    if name.strip():
        return maker.compared(name.strip(), "=", _number(value))
    raise BadRequest(
        "a numeric filter cannot be read", where="numericFilters", allowed="price>=10, price:10 TO 50", got=text
    )


def _tagged(text: str, maker: Maker) -> Condition:
    value = text.strip().removeprefix(f"{TAGS}:")
    found = maker.equal(TAGS, value.removeprefix("-"))
    return opposite(found) if value.startswith("-") else found


def _plain(token: Token) -> str:
    """The text of a token, out of its quotes."""
    text = str(token)
    return _ESCAPED.sub(r"\1", text[1:-1]) if token.type == "STRING" else text


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadRequest("a number is expected", where="filters", allowed="a number, such as 49.90", got=str(text))
    return number


def _shape(where: str, given: object) -> BadRequest:
    return BadRequest(
        "this filter has the wrong shape", where=where, allowed="a list of texts and of lists of texts", got=given
    )
