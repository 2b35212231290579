"""Which columns of this shop can be filled from texts, and which value does each way of saying it name?

Idea: a column of choices that the shop keeps (colour, material, "connector") is a list of names: what some items are
given, others may only say. What everybody calls colours, materials, audiences, patterns and seasons is matched to the
shop's own values ("grey" is its "Gray"); where the shop has no such column, the everyday names make one.
Cost: some microseconds a value. Not for: numbers beside units (`amounts`), long texts, codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from bodega.feeds.mapping import plain
from bodega.schema import ItemTable
from bodega.understanding.facts.lexicon import COLUMN, chinese, kind_of, said_as
from bodega.understanding.facts.passages import key_of
from bodega.understanding.query import colours

MOST_VALUES = 300
"""A column of choices with more different values is text; brands may be many."""
MOST_BRANDS = 50_000
LEAST_ITEMS = 20
"""A column that fewer items have is no choice anybody filters by."""
LONGEST = 6
"""Words of a value that are looked for."""
_CODES = (
    "category kind seller tags type attributeset visibility language url urlkey image images sku id title name "
    "description model modelnumber mpn upc ean gtin isbn manufacturerid"
)
_LEFT_OUT = frozenset(_CODES.split())
_FLAGS = frozenset(("True", "False"))
_NOTHING = "yes no true false none other others unknown n/a na all new sale misc default 其他 其它 无 是 否"
_SAYS_NOTHING = frozenset(_NOTHING.split())
BASES = {
    "g": "size_g",
    "ml": "size_ml",
    "count": "size_count",
    "cm": "",
    "gb": "",
    "w": "",
    "v": "",
    "mah": "",
    "hz": "",
}
"""{base unit: the column that a shop without one gets}; empty: only a column that the shop has is filled."""


class Target(msgspec.Struct, frozen=True):
    """A column that facts are mined for."""

    column: str
    kind: str
    own: bool
    """Does the shop have it?"""
    single: bool
    """Does an item have one value of it (as most columns), or several?"""
    base: str = ""
    """The unit, for a column of numbers."""


class Sense(msgspec.Struct, frozen=True, array_like=True):
    """What a way of saying it names: a value of a target; `shop` says whether the shop lists it."""

    target: int
    value: str
    shop: bool


@dataclass(frozen=True, slots=True)
class Columns:
    """The targets of a catalog and every way to name their values: {words, folded and singular: senses}."""

    targets: tuple[Target, ...] = ()
    senses: dict[str, list[Sense]] = field(default_factory=dict)


def columns_of(items: ItemTable, chinese_shop: bool) -> Columns:
    """The columns of this catalog that texts may fill."""
    targets: list[Target] = []
    for name in sorted(items.coded):
        kind = kind_of(name)
        column = items.coded[name]
        filled = np.diff(column.starts)
        have = int(np.count_nonzero(filled))
        size = len(column.vocabulary)
        if plain(name) in _LEFT_OUT or have < LEAST_ITEMS or size < 2 or _is_text(list(column.vocabulary)[:50]):
            continue
        if kind != "size" and all(value in _FLAGS or value.isdigit() for value in column.vocabulary):
            continue
        if size > (MOST_BRANDS if kind == "brand" else MOST_VALUES):
            continue
        targets.append(Target(name, kind, True, bool(filled.sum() <= 1.05 * have)))
    named = {target.kind for target in targets}
    taken = {target.column for target in targets}
    for kind, name in COLUMN.items():
        if kind not in named and name not in taken:
            targets.append(Target(name, kind, False, kind in ("colour", "audience")))
    targets += _numeric(items)
    senses: dict[str, list[Sense]] = {}
    for number, target in enumerate(targets):
        if not target.base:
            values = list(items.coded[target.column].vocabulary) if target.own else []
            _name(senses, number, target, values, chinese_shop)
    return Columns(tuple(targets), senses)


def _numeric(items: ItemTable) -> list[Target]:
    """Columns of amounts: the shop's own that end in a unit, else the usual ones for weight, volume and pieces."""
    out = []
    for base, usual in BASES.items():
        own = sorted(name for name in items.numbers if name.endswith(f"_{base}"))
        own = [name for name in own if np.count_nonzero(~np.isnan(items.numbers[name])) >= LEAST_ITEMS]
        if usual in own or (usual and not own):
            out.append(Target(usual, "quantity", usual in own, True, base))
        elif len(own) == 1:
            out.append(Target(own[0], "quantity", True, True, base))
    return out


def _is_text(values: Sequence[str]) -> bool:
    """Are most of these values too long to be a choice?"""
    return sum(len(value) > 40 for value in values) > len(values) / 2


def _name(senses: dict[str, list[Sense]], number: int, target: Target, values: list[str], chinese_shop: bool) -> None:
    """Every way to say a value of this target."""
    own = {key_of(value): value for value in reversed(values) if _sayable(value, target.kind)}
    found = {key: (value, True) for key, value in own.items()}
    for way, (name, _) in said_as(target.kind).items():
        key = key_of(way)
        if key in found:
            continue
        same = own.get(key_of(name)) or own.get(key_of(chinese(target.kind, name)))
        if same is None and target.kind == "colour":
            kin = [value for value in own.values() if colours.families(value) == {name}]
            same = kin[0] if len(kin) == 1 else None
        if same is not None:
            found[key] = same, True
        elif not target.own:
            found[key] = (chinese(target.kind, name) if chinese_shop else name), False
    for key, (value, shop) in found.items():
        if key and key.count(" ") < LONGEST:
            senses.setdefault(key, []).append(Sense(number, value, shop))


def _sayable(value: str, kind: str) -> bool:
    """Words that can name it: a number or a letter is a size at most."""
    key = key_of(value)
    if not key or key in _SAYS_NOTHING:
        return False
    return kind == "size" or (not key.replace(" ", "").isdigit() and (len(key) > 1 or not key.isascii()))
