"""Which goods does the generated shop sell, and who likes which? Items from `_shelves`, and the true affinity."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product

import numpy as np
from numpy.typing import NDArray

from bodega.schema import Availability, Item
from bodega.testing._shelves import CHINESE_WORDS, Kind, kinds

CHINESE_SHARE = 0.15
"""Share of variant groups whose labels are Chinese."""

SOLD_OUT = 0.04

_UNITS = {"g": "克", "kg": "公斤", "ml": "毫升", "l": "升", "pack": "件装"}
_GRAMS = {"g": 1.0, "kg": 1000.0, "ml": 1.0, "l": 1000.0}


@dataclass(frozen=True, slots=True)
class Goods:
    """The items, and the kind of each: `kind_of` holds rows of `kinds`, shape (n_items,)."""

    items: list[Item]
    kinds: tuple[Kind, ...]
    kind_of: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class _Label:
    """What is printed on one package."""

    kind: Kind
    brand: str
    variety: str
    size: str
    edition: int


def stock(n_items: int, opening: datetime, rng: np.random.Generator) -> Goods:
    """`n_items` items, spread evenly over the kinds, in shuffled order."""
    chosen = kinds(max(n_items // 4, 4))
    shelves = [_labels(kind, 1 + n_items // len(chosen), rng) for kind in chosen]
    rounds = [(row, depth) for depth in range(max(map(len, shelves))) for row in range(len(chosen))]
    picked = [(row, shelves[row][depth]) for row, depth in rounds if depth < len(shelves[row])][:n_items]
    order = rng.permutation(len(picked))
    chinese: dict[str, bool] = {}
    items, rows = [], []
    for number, place in enumerate(order.tolist()):
        row, label = picked[place]
        group = _group(label)
        in_chinese = chinese.setdefault(group, bool(rng.random() < CHINESE_SHARE))
        items.append(_item(f"p{number:04d}", label, in_chinese=in_chinese, opening=opening, rng=rng))
        rows.append(row)
    return Goods(items, chosen, np.asarray(rows, np.int32))


def affinity(goods: Goods, n_shoppers: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """How much each shopper likes each item, (n_shoppers, n_items): aisle + kind + brand + price + quality + chance.

    The spread over kinds (1.4) is far above that of quality (0.4): people differ, so popularity cannot be the answer.
    """
    departments = {kind.path[0]: None for kind in goods.kinds}
    department_of = np.array([list(departments).index(kind.path[0]) for kind in goods.kinds])
    kind_taste = 1.4 * rng.standard_normal((n_shoppers, len(goods.kinds)))
    kind_taste += 0.8 * rng.standard_normal((n_shoppers, len(departments)))[:, department_of]
    for row, kind in enumerate(goods.kinds):
        if kind.path[0] in ("Baby", "Pets"):
            owner = rng.random(n_shoppers) < 0.3
            kind_taste[:, row] = np.where(owner, kind_taste[:, row] + 1.5, -4.0)
    brands = sorted({item.brand for item in goods.items})
    brand_of = np.array([brands.index(item.brand) for item in goods.items])
    brand_taste = 0.7 * rng.standard_normal((n_shoppers, len(brands)))
    thrift = np.abs(rng.normal(0.0, 0.8, n_shoppers))
    usual = np.array([goods.kinds[row].price for row in goods.kind_of])
    dearness = np.log(np.array([item.price or 1.0 for item in goods.items]) / usual)
    quality = rng.normal(0.0, 0.4, len(goods.items))
    total = kind_taste[:, goods.kind_of] + brand_taste[:, brand_of] - thrift[:, None] * dearness + quality
    total += rng.normal(0.0, 0.3, total.shape)
    return np.asarray(total, np.float32)


def _labels(kind: Kind, at_least: int, rng: np.random.Generator) -> list[_Label]:
    """The packages of a kind in shuffled order; when brands x varieties x sizes run out, further editions follow."""
    labels: list[_Label] = []
    edition = 1
    while len(labels) < at_least:
        fresh = [_Label(kind, *parts, edition) for parts in product(kind.brands, kind.varieties, kind.sizes)]
        labels += [fresh[place] for place in rng.permutation(len(fresh)).tolist()]
        edition += 1
    return labels


def _group(label: _Label) -> str:
    return f"{label.brand}/{label.kind.name}/{label.variety}/{label.edition}".lower().replace(" ", "-")


def _item(name: str, label: _Label, *, in_chinese: bool, opening: datetime, rng: np.random.Generator) -> Item:
    kind = label.kind
    number = f" No. {label.edition}" if label.edition > 1 else ""
    if in_chinese:
        title = (
            f"{label.brand} {CHINESE_WORDS.get(label.variety, label.variety)}{kind.chinese}{number} {_zh(label.size)}"
        )
        text = f"{kind.chinese}，{label.brand} 出品，{_zh(label.size)}。"
    else:
        title = f"{label.brand} {label.variety} {kind.name.title()}{number} {label.size}"
        text = f"{label.variety} {kind.name} by {label.brand}, {label.size}."
    units = 1.0 if label.size == kind.sizes[0] else 1.7
    price = round(kind.price * units * float(np.exp(rng.normal(0.0, 0.25))), 2)
    sold_out = rng.random() < SOLD_OUT
    grams = _grams(label.size)
    return Item(
        id=name,
        title=title,
        description=text,
        brand=label.brand,
        category=kind.path,
        price=max(price, 0.2),
        currency="USD",
        availability=Availability.OUT_OF_STOCK if sold_out else Availability.IN_STOCK,
        stock=0 if sold_out else int(rng.integers(3, 200)),
        attributes={"variety": label.variety, **({"grams": grams} if grams else {})},
        tags=("organic",) if label.variety == "Organic" else (),
        group=_group(label),
        options={"size": label.size},
        language="zh" if in_chinese else "en",
        created=opening - timedelta(days=int(rng.integers(1, 400))),
        seller="bodega",
    )


def _zh(size: str) -> str:
    amount, _, unit = size.partition(" ")
    return f"{amount}{_UNITS[unit]}" if unit in _UNITS else size


def _grams(size: str) -> float:
    amount, _, unit = size.partition(" ")
    return float(amount) * _GRAMS[unit] if unit in _GRAMS else 0.0
