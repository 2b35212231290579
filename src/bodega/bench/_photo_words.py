""" "Like this, but red": a photo of a product in one colour, the words name another. Through the whole engine.

Each product and colour of Luma is an item with that colour's photo; a question is a photo of a product in one of its
colours, and the answer the same product in the colour that the words name. The weights of the place `photo` were chosen
on the products of even number; figures are of the others. Baselines: the photo alone, the words alone.
"""

from __future__ import annotations

import html
import itertools
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bodega.bench._pictured_sets import Seen
from bodega.engine.photo import token_of
from bodega.engine.shop import Shop
from bodega.protocols import EncoderInfo
from bodega.retrieval.pictures import Pictures
from bodega.schema import Item, Request
from bodega.schema.arrays import Doubles, Floats
from bodega.settings import Settings, Understand
from bodega.wiring import init_shop, open_shop

_TAG = re.compile(r"<[^>]+>")


def but(
    products: Sequence[Mapping[str, Any]], info: EncoderInfo, vectors: Mapping[str, Floats]
) -> dict[str, dict[str, Doubles]]:
    """{metric: {way: one value a question}}; the way "" is photo and words together."""
    items, colours = _items(products)
    questions = [
        (number, sku, first, other)
        for number, (sku, shown) in enumerate(colours.items())
        for first, other in itertools.permutations(shown, 2)
        if number % 2 and shown[first] in vectors and shown[other] in vectors
    ]
    out: dict[str, dict[str, list[float]]] = {f"hit@{k}": {way: [] for way in ("", "photo", "words")} for k in (1, 10)}
    with tempfile.TemporaryDirectory() as folder, _opened(Path(folder) / "luma", items, Seen(info, vectors)) as shop:
        for _, sku, first, other in questions:
            image = token_of(vectors[colours[sku][first]], info.digest)
            asked = {
                "": Request(place="search", query=f"like this, but {other.lower()}", image=image, k=10),
                "photo": Request(place="search", image=image, k=10),
                "words": Request(place="search", query=other.lower(), k=10),
            }
            for way, request in asked.items():
                ids = shop.answer(request).ids
                for k in (1, 10):
                    out[f"hit@{k}"][way].append(float(f"{sku}-{other}" in ids[:k]))
    return {metric: {way: np.array(each) for way, each in ways.items()} for metric, ways in out.items()}


def _opened(folder: Path, items: Sequence[Item], seen: Seen) -> Shop:
    """A learned shop whose pictures were looked at."""
    init_shop(folder, Settings(understand=Understand(teacher="none")))
    shop = open_shop(folder)
    parts = shop._parts
    shop._parts = replace(
        parts,
        make={**parts.make, "pictures": lambda: Pictures(seen)},
        load={**parts.load, "pictures": lambda saved, table: Pictures.load(saved, table, seen)},
    )
    shop.catalog.upsert(items)
    shop.learn()
    return shop


def _items(products: Sequence[Mapping[str, Any]]) -> tuple[list[Item], dict[str, dict[str, str]]]:
    """(an item for each product and colour, {product: {colour: its photo}})."""
    items: list[Item] = []
    colours: dict[str, dict[str, str]] = {}
    for each in products:
        shown: dict[str, str] = {}
        for variant in each.get("variants") or ():
            if variant.get("image") and variant.get("color"):
                shown.setdefault(variant["color"], variant["image"])
        if len(shown) > 1:
            colours[each["sku"]] = shown
        plain = Item(
            id=each["sku"],
            title=html.unescape(each["name"]),
            description=html.unescape(_TAG.sub(" ", each.get("description_html") or "")),
            category=tuple((each.get("categories") or ["Other"])[0].split("/")),
            price=each.get("price"),
            images=tuple(each.get("images") or ()),
            attributes={name: html.unescape(str(value)) for name, value in (each.get("attributes") or {}).items()},
        )
        if not shown:
            items.append(plain)
        for colour, photo in shown.items():
            own = {**plain.attributes, "color": colour}
            items.append(_with(plain, f"{each['sku']}-{colour}", (photo,), own))
    return items, colours


def _with(item: Item, name: str, images: tuple[str, ...], attributes: dict[str, Any]) -> Item:
    return msgspec.structs.replace(item, id=name, images=images, attributes=attributes)
