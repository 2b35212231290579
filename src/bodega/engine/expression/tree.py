"""What may be asked of an item, as a typed tree: `Is`, `Between`, `Not`, `And`, `Or`. Frozen, comparable, printable.

`str(expression)` is its text in the filter language, and `parse(str(expression)) == expression` for every tree, so a
condition can be kept as text and read again. Build trees in code where conditions come from code (a rule, another
system's filters): text that was glued together from input is how injections happen.
Cost: nothing to speak of. Not for: deciding which items fit (`masks`) or reading text (`language`).
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bodega.errors import BadRequest

DEPTH_LIMIT = 20
"""Levels of brackets and NOTs; a condition that a person can follow has three."""
TERMS_LIMIT = 200
"""Values and ranges in one expression; each costs about 0.05 ms at 100,000 items."""
LARGEST = 3.4028234663852886e38
"""Numbers are compared as float32; beyond this one there are none."""

KEYWORDS = frozenset({"and", "or", "not", "in", "between"})
_PLAIN = re.compile(r"[^\W\d]\w*(?:[-.]\w+)*")


@dataclass(frozen=True, slots=True)
class Is:
    """The field has one of the values: as text, or as a number where the field holds numbers.

    A category has its own name and those of all above it: `category = "Shoes"` keeps everything below Shoes.

    >>> print(Is("brand", ("Acme",)), "|", Is("shoe size", ("42", '43"')))
    brand = "Acme" | "shoe size" IN ("42", "43\\"")
    """

    field: str
    values: tuple[str, ...]
    at: int = dataclasses.field(default=-1, compare=False, repr=False)
    """Character of the text it was read from; -1 when it was built in code."""

    def __post_init__(self) -> None:
        if not self.field or not self.values:
            raise BadRequest("a condition names a field and at least one value", where="filter expression")

    def __str__(self) -> str:
        if len(self.values) == 1:
            return f"{_name(self.field)} = {_quoted(self.values[0])}"
        return f"{_name(self.field)} IN ({', '.join(map(_quoted, self.values))})"


@dataclass(frozen=True, slots=True)
class Between:
    """The number lies in [low, high]; an end that is None is open. With `strict` the one end given is left out itself.

    What has no number lies nowhere: neither `price < 10` nor `price >= 10` keeps an item without a price.

    >>> print(Between("price", 10, 50), "|", Between("price", high=50, strict=True))
    price 10..50 | price < 50
    """

    field: str
    low: float | None = None
    high: float | None = None
    strict: bool = False
    at: int = dataclasses.field(default=-1, compare=False, repr=False)

    def __post_init__(self) -> None:
        ends = [end for end in (self.low, self.high) if end is not None]
        if not self.field or not ends or (self.strict and len(ends) == 2):
            raise BadRequest(
                "a range names a field and one or two ends (just one of them when it is strict)",
                where="filter expression",
                allowed="price 10..50, price >= 10, price < 50",
            )
        for end in ends:
            if not math.isfinite(end) or abs(end) > LARGEST:
                raise BadRequest(
                    "a number is too large", where=f"range of {self.field}", allowed=f"up to {LARGEST:.4g}", got=end
                )

    def __str__(self) -> str:
        name = _name(self.field)
        if self.low is not None and self.high is not None:
            return f"{name} {_number(self.low)}..{_number(self.high)}"
        if self.low is not None:
            return f"{name} {'>' if self.strict else '>='} {_number(self.low)}"
        assert self.high is not None
        return f"{name} {'<' if self.strict else '<='} {_number(self.high)}"


@dataclass(frozen=True, slots=True)
class Not:
    """Everything else, also what has no such field: `NOT tags = "used"` keeps items without tags.

    >>> print(Not(Is("tags", ("used",))))
    NOT tags = "used"
    """

    part: Expression

    def __str__(self) -> str:
        return f"NOT {_inside(self.part)}"


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold; there are at least two (`all_of` takes any number).

    >>> print(And((Is("brand", ("Acme",)), Or((Between("price", high=9), Is("tags", ("sale",)))))))
    brand = "Acme" AND (price <= 9 OR tags = "sale")
    """

    parts: tuple[Expression, ...]

    def __post_init__(self) -> None:
        _several(self.parts)

    def __str__(self) -> str:
        return " AND ".join(map(_inside, self.parts))


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds; there are at least two (`any_of` takes any number).

    >>> print(Or((Is("brand", ("Acme",)), Is("tags", ("sale",)))))
    brand = "Acme" OR tags = "sale"
    """

    parts: tuple[Expression, ...]

    def __post_init__(self) -> None:
        _several(self.parts)

    def __str__(self) -> str:
        return " OR ".join(map(_inside, self.parts))


Expression = Is | Between | Not | And | Or


def all_of(parts: Iterable[Expression]) -> Expression | None:
    """The parts joined by AND; the part itself when there is one, None when there is none.

    >>> all_of([]) is None, str(all_of([Is("brand", ("Acme",))]))
    (True, 'brand = "Acme"')
    """
    found = tuple(parts)
    return And(found) if len(found) > 1 else (found[0] if found else None)


def any_of(parts: Iterable[Expression]) -> Expression | None:
    """The parts joined by OR; the part itself when there is one, None when there is none."""
    found = tuple(parts)
    return Or(found) if len(found) > 1 else (found[0] if found else None)


def conditions(expression: Expression) -> Iterator[Is | Between]:
    """Every condition in the tree, from left to right."""
    waiting: list[Expression] = [expression]
    while waiting:
        part = waiting.pop()
        if isinstance(part, And | Or):
            waiting.extend(reversed(part.parts))
        elif isinstance(part, Not):
            waiting.append(part.part)
        else:
            yield part


def bounded(expression: Expression) -> Expression:
    """The expression itself, when it is neither too deep nor too long. Raises BadRequest.

    `parse` has checked what it returns; call this for trees that were built from somebody's input.
    """
    deepest, terms = 0, 0
    waiting: list[tuple[Expression, int]] = [(expression, 1)]
    while waiting:
        part, depth = waiting.pop()
        deepest = max(deepest, depth)
        if deepest > DEPTH_LIMIT or terms > TERMS_LIMIT:
            break
        if isinstance(part, And | Or):
            waiting.extend((each, depth + 1) for each in part.parts)
        elif isinstance(part, Not):
            waiting.append((part.part, depth + 1))
        else:
            terms += len(part.values) if isinstance(part, Is) else 1
    if deepest > DEPTH_LIMIT:
        raise too_deep()
    if terms > TERMS_LIMIT:
        raise too_long()
    return expression


def too_deep() -> BadRequest:
    return BadRequest(
        "the filter expression is nested too deeply",
        where="filter expression",
        allowed=f"{DEPTH_LIMIT} levels of brackets and NOTs",
        next="leave out brackets that change nothing, or use IN (...)",
    )


def too_long() -> BadRequest:
    return BadRequest(
        "the filter expression has too many values",
        where="filter expression",
        allowed=f"{TERMS_LIMIT} values and ranges",
        next="tag the items and filter by the tag",
    )


def _several(parts: tuple[Expression, ...]) -> None:
    if len(parts) < 2:
        raise BadRequest("AND and OR join at least two parts", where="filter expression", next="use all_of or any_of")


def _inside(part: Expression) -> str:
    return f"({part})" if isinstance(part, And | Or) else str(part)


def _name(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and text.lower() not in KEYWORDS else _quoted(text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
