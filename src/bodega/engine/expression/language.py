"""From the text of a filter to its tree: `brand = "Acme" AND (price < 50 OR tags IN (sale, new)) AND NOT color = red`.

The grammar stands below, in full; docs/filters.md explains it to those who write filters. The parser is LALR (lark):
it looks at every character a bounded number of times and never goes back, so that no text takes long, and it builds the
tree bottom up, so that no nesting overflows a stack. Nothing of the text is ever run as code or as SQL.
An error shows the place with a caret and says what could stand there.
Cost: 0.3 ms for a condition of three parts, 10 ms for the longest text; what was read before is remembered (1 us).
Not for: knowing which fields a shop has (`engine.browse.check` says that, at the same place of the text).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bodega.engine.expression.tree import And, Between, Expression, Is, Not, Or, bounded
from bodega.errors import BadRequest

if TYPE_CHECKING:
    from lark import Lark, Token

LENGTH_LIMIT = 4_000
"""Characters of a filter expression."""
_SHOWN = 30
"""Characters shown before and after the place of an error."""

_STOPS = '\\s\\x00-\\x1f\\x7f()（）"“”=＝!<>＜＞≠≤≥:：,，\\\\'
_WORD_GOES_ON = f"(?![^{_STOPS}])"
_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"

GRAMMAR = rf"""
start: either

?either: both
       | both (_OR both)+          -> any_part
?both: single
     | single (_AND single)+       -> all_parts
?single: condition
       | _NOT single               -> refused
       | _LEFT either _RIGHT

?condition: field _EQUAL value                    -> equal
          | field _UNEQUAL value                  -> unequal
          | field _IN values                      -> among
          | field _NOT _IN values                 -> not_among
          | field COMPARE NUMBER                  -> compared
          | field _BETWEEN NUMBER _AND NUMBER     -> between
          | field RANGE                           -> ranged
          | field _EQUAL RANGE                    -> ranged
          | STRAY
field: WORD | QUOTED
value: WORD | QUOTED | NUMBER
values: _LEFT value (_COMMA value)* _RIGHT

_AND.3: /and{_WORD_GOES_ON}/i
_OR.3: /or{_WORD_GOES_ON}/i
_NOT.3: /not{_WORD_GOES_ON}/i
_IN.3: /in{_WORD_GOES_ON}/i
_BETWEEN.3: /between{_WORD_GOES_ON}/i
RANGE.3: /(?:{_NUMBER}\s*\.\.\s*(?:{_NUMBER})?|\.\.\s*{_NUMBER}){_WORD_GOES_ON}/
NUMBER.2: /{_NUMBER}{_WORD_GOES_ON}/
COMPARE.2: /<=|>=|<|>|≤|≥|＜|＞/
_UNEQUAL.3: /!=|<>|≠/
_EQUAL.2: /==?|＝|:|：/
_LEFT.2: /\(|（/
_RIGHT.2: /\)|）/
_COMMA.2: /,|，/
QUOTED.2: /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|“(?:[^”\\]|\\.)*”/s
WORD.1: /[^'{_STOPS}][^{_STOPS}]*/
STRAY.0: /[\s\S]/  // refused by the lexer, with its place
%ignore /\s+/
"""

_SAID = (
    ({"_NOT", "_LEFT", "WORD"}, "a condition such as brand = Acme, NOT, or an opening bracket"),
    ({"_EQUAL"}, "=, !=, <, <=, >, >=, IN (...), NOT IN (...), BETWEEN ... AND ..., or a range such as 10..50"),
    ({"NUMBER", "WORD"}, "a value (in quotation marks, or one bare word)"),
    ({"NUMBER"}, "a number"),
    ({"_IN"}, "IN"),
    ({"_COMMA"}, "a comma, or a closing bracket"),
    ({"_RIGHT"}, "AND, OR, or a closing bracket"),
    ({"$END"}, "AND, OR, or the end"),
    ({"_AND"}, "AND"),
    ({"_LEFT"}, "an opening bracket"),
)
"""(terminals that can all stand there, in words); the first that fits is said."""


@lru_cache(maxsize=512)
def parse(text: str) -> Expression:
    """The tree of a filter expression. Raises BadRequest with the place, and what could stand there.

    >>> parse("brand = Acme and price 10..50")
    And(parts=(Is(field='brand', values=('Acme',)), Between(field='price', low=10.0, high=50.0, strict=False)))
    """
    from lark.exceptions import LarkError, UnexpectedToken, VisitError

    if len(text) > LENGTH_LIMIT:
        raise BadRequest(
            "the filter expression is too long",
            where="filter expression",
            allowed=f"{LENGTH_LIMIT:,} characters",
            got=f"{len(text):,} characters",
        )
    try:
        tree: Any = _parser().parse(text)
    except UnexpectedToken as error:
        raise _unexpected(text, error) from error
    except VisitError as error:
        if isinstance(error.orig_exc, _Wrong):
            raise pointed(text, error.orig_exc.at, error.orig_exc.what) from error
        raise
    except _Wrong as error:
        raise pointed(text, error.at, error.what) from error
    except LarkError as error:  # STRAY takes every character, so nothing else is left to go wrong; a net all the same
        raise pointed(text, len(text), "the filter expression cannot be read") from error
    return bounded(tree)


def pointed(text: str, at: int, what: str, *, allowed: str = "", advice: str = "") -> BadRequest:
    """The error for one place of a text: the line with a caret below it.

    >>> print(pointed("brand = ", 8, "there is nothing").got)
    <BLANKLINE>
      brand =
              ^
    """
    at = max(0, min(at, len(text)))
    start, end = max(0, at - _SHOWN), at + _SHOWN
    before, after = ("..." if start else "") + _printable(text[start:at]), _printable(text[at:end])
    shown = f"{before}{after}{'...' if end < len(text) else ''}".rstrip()
    return BadRequest(
        what,
        where=f"filter expression, character {at + 1}",
        allowed=allowed,
        got=f"\n  {shown}\n  {' ' * _columns(before)}^",
        next=advice,
    )


class _Wrong(Exception):
    """What the grammar allows and makes no sense: a range that ends before it begins."""

    def __init__(self, what: str, at: int) -> None:
        super().__init__(what)
        self.what, self.at = what, at


class _Builder:
    """Called by the parser, bottom up, with the parts of each rule."""

    def start(self, parts: list[Any]) -> Expression:
        tree: Expression = parts[0]
        return tree

    def any_part(self, parts: list[Any]) -> Or:
        return Or(tuple(parts))

    def all_parts(self, parts: list[Any]) -> And:
        return And(tuple(parts))

    def refused(self, parts: list[Any]) -> Not:
        return Not(parts[0])

    def field(self, parts: list[Any]) -> tuple[str, int]:
        name = _text(parts[0])
        if not name:
            raise _Wrong("the name of a field is empty", parts[0].start_pos)
        return name, parts[0].start_pos

    def value(self, parts: list[Any]) -> str:
        return _text(parts[0])

    def values(self, parts: list[Any]) -> tuple[str, ...]:
        return tuple(parts)

    def equal(self, parts: list[Any]) -> Is:
        (name, at), value = parts
        return Is(name, (value,), at)

    def unequal(self, parts: list[Any]) -> Not:
        return Not(self.equal(parts))

    def among(self, parts: list[Any]) -> Is:
        (name, at), values = parts
        return Is(name, values, at)

    def not_among(self, parts: list[Any]) -> Not:
        return Not(self.among(parts))

    def compared(self, parts: list[Any]) -> Between:
        (name, at), sign, end = parts
        below, strict = sign in ("<", "<=", "≤", "＜"), sign in ("<", ">", "＜", "＞")
        number = _number(end)
        return Between(name, None if below else number, number if below else None, strict, at)

    def between(self, parts: list[Any]) -> Between:
        (name, at), low, high = parts
        return _range(name, at, (_number(low), _number(high)), high.start_pos)

    def ranged(self, parts: list[Any]) -> Between:
        (name, at), token = parts
        low, _, high = token.partition("..")
        ends = [_number(token.update(value=end.strip())) if end.strip() else None for end in (low, high)]
        return _range(name, at, (ends[0], ends[1]), token.start_pos)


def _range(name: str, at: int, ends: tuple[float | None, float | None], place: int) -> Between:
    low, high = ends
    if low is not None and high is not None and low > high:
        raise _Wrong("a range ends before it begins", place)
    return Between(name, low, high, at=at)


def _number(token: Token) -> float:
    try:
        Between("a number", number := float(token))
    except BadRequest as error:
        raise _Wrong(error.what, token.start_pos or 0) from error
    return number


def _text(token: Token) -> str:
    """What a word or a quoted text says: a backslash gives the character after it."""
    return re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL) if token.type == "QUOTED" else str(token)


@lru_cache(maxsize=1)
def _parser() -> Lark:
    from lark import Lark

    refusing = {"STRAY": _stray}
    return Lark(GRAMMAR, parser="lalr", lexer="basic", transformer=_Builder(), lexer_callbacks=refusing)


def _unexpected(text: str, error: Any) -> BadRequest:
    token, accepted = error.token, error.accepts or error.expected
    at = len(text) if token.type == "$END" else token.start_pos
    if not text.strip():
        return pointed(text, at, "the filter expression is empty", allowed=_SAID[0][1])
    said = next((words for terminals, words in _SAID if terminals <= accepted), "something else")
    if token.type == "$END":
        what = "the filter expression ends too early"
    elif token.type in ("_AND", "_OR", "_NOT", "_IN", "_BETWEEN"):
        what = f"'{token.upper()}' cannot stand here (as a name or a value, put it in quotation marks)"
    else:
        what = "this cannot stand here"
    advice = 'a value of several words stands in quotation marks: brand = "Blue Acme"' if token.type == "WORD" else ""
    return pointed(text, at, what, allowed=said, advice=advice if accepted & {"$END", "_RIGHT"} else "")


def _stray(char: Token) -> Token:
    """Refuse a character that begins nothing."""
    what = "this character cannot stand here" if char.isprintable() else f"U+{ord(char):04X} cannot stand here"
    raise _Wrong("a quotation mark is never closed" if char in ("'", '"', "“") else what, char.start_pos or 0)


def _printable(text: str) -> str:
    """One line that shows as many characters as there are: what is not printable becomes a dot."""
    return "".join(char if char.isprintable() else ("·" if not char.isspace() else " ") for char in text)


def _columns(text: str) -> int:
    """Columns that a terminal gives a text: Chinese takes two a character, combining marks none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )
