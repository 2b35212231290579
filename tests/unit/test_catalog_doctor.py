"""The doctor against catalogs whose illnesses are known."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest

from bodega.catalog import Diagnosis, examine
from bodega.catalog.doctor import CODES
from bodega.schema import Availability, Item
from bodega.settings import Kind


@dataclass(frozen=True)
class Maker:
    """Healthy items, so that a test changes only what it is about."""

    def item(self, number: int, **changes: object) -> Item:
        healthy: dict[str, object] = {
            "id": f"i{number}",
            "title": f"Sturdy trail shoe number {number}",
            "description": "For mud and rain.",
            "brand": "Acme",
            "category": ("Shoes", "Trail"),
            "price": 50.0 + number % 9,
            "currency": "EUR",
            "images": (f"/{number}.jpg",),
        }
        return Item(**(healthy | changes))  # type: ignore[arg-type]

    def shop(self, n: int = 60) -> list[Item]:
        return [self.item(number) for number in range(n)]


MAKE = Maker()


def _found(diagnosis: Diagnosis) -> dict[str, tuple[int, list[str]]]:
    return {one.code: (one.count, [example.id for example in one.examples]) for one in diagnosis.findings}


def test_a_healthy_shop() -> None:
    items = MAKE.shop()
    titles = {item.title: item.id for item in items}
    diagnosis = examine(items, lambda query, k: [titles[query]][:k])
    assert (diagnosis.findings, diagnosis.score, diagnosis.n_items) == ((), 100, 60)


def test_an_empty_shop_is_not_healthy() -> None:
    assert examine([], lambda query, k: []) == Diagnosis(n_items=0, score=0, findings=())


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("no_title", {"title": ""}),
        ("short_title", {"title": "Shoe"}),
        ("long_title", {"title": "long " * 60}),
        ("no_category", {"category": ()}),
        ("no_price", {"price": None}),
        ("no_image", {"images": ()}),
        ("no_description", {"description": ""}),
        ("odd_price", {"price": 5_000.0}),
        ("unavailable", {"availability": Availability.OUT_OF_STOCK}),
        ("unavailable", {"stock": 0}),
        ("mixed_currencies", {"currency": "USD"}),
        ("duplicate_title", {"title": "sturdy TRAIL  shoe number 7"}),
        ("alone", {"group": "g"}),
    ],
)
def test_one_illness_at_a_time(code: str, changes: dict[str, object]) -> None:
    items = MAKE.shop()
    items[50] = MAKE.item(50, **changes)
    diagnosis = examine(items)
    assert _found(diagnosis) == {code: (1, ["i50"])}
    finding = diagnosis.findings[0]
    assert finding.fix
    assert (finding.severity, finding.of) == (CODES[code].severity, 60)
    assert 98 < diagnosis.score <= 100


def test_broken_variants() -> None:
    sound = [MAKE.item(n, group="sound", title="Tee", options={"size": size}) for n, size in enumerate("SML")]
    twins = [MAKE.item(10 + n, group="twins", title="Hat", options={"size": "S"}) for n in range(3)]
    gaps = [
        MAKE.item(20, group="gaps", options={"size": "S", "color": "red"}),
        MAKE.item(21, group="gaps", options={"size": "M"}),
    ]
    found = _found(examine([*sound, *twins, *gaps]))
    assert found["same_options"] == (2, ["i11", "i12"])
    assert found["lacks_option"] == (1, ["i21"])
    assert "alone" not in found
    assert "duplicate_title" not in found  # variants of one group may share a title


def test_chinese_titles_count_by_width_and_script() -> None:
    items = [MAKE.item(n, title=f"红色连衣裙{n}") for n in range(50)]
    assert _found(examine(items)) == {}
    items += [MAKE.item(n) for n in range(50, 60)]
    assert _found(examine(items))["mixed_languages"] == (10, ["i50", "i51", "i52", "i53", "i54"])


def test_unfindable_in_the_shops_own_search() -> None:
    items = MAKE.shop(500)
    titles = {item.title: item.id for item in items}

    def search(query: str, k: int) -> list[str]:
        found = titles[query]
        return ["i3"] if int(found[1:]) % 2 else ["i4"] * (k - 1) + [found]

    finding = next(one for one in examine(items, search).findings if one.code == "unfindable")
    assert finding.of == 200
    assert 70 < finding.count < 130  # about half of the sample has an odd number
    assert all(int(example.id[1:]) % 2 for example in finding.examples)
    assert finding.examples[0].detail == "first hit: i3"
    assert finding == next(one for one in examine(reversed(items), search).findings if one.code == "unfindable")


def test_a_sibling_variant_counts_as_found() -> None:
    items = [MAKE.item(n, group="g", title="Trail tee", options={"size": str(n)}) for n in range(4)]
    assert examine(items, lambda query, k: ["i2"]).findings == ()
    missed = examine(items, lambda query, k: [])
    assert _found(missed)["unfindable"][0] == 4
    assert missed.score == 60


def test_worst_first_and_plain_json() -> None:
    items = [Item(id=str(n)) for n in range(30)]
    diagnosis = examine(items)
    severities = [one.severity for one in diagnosis.findings]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)
    assert diagnosis.findings[0].code == "no_title"
    assert msgspec.json.decode(msgspec.json.encode(diagnosis), type=Diagnosis) == diagnosis


def test_other_kinds_miss_no_price_but_their_own_fields() -> None:
    items = [
        Item(id="p", title="A running shoe", category=("Shoes",)),
        Item(id="a", kind="article", title="How to run far", category=("Reading",)),
        Item(id="b", kind="article", title="How to run fast", category=("Reading",), attributes={"author": "Ada"}),
        Item(id="t", kind="ticket", title="Start at the race", category=("Races",)),
    ]
    kinds = {"article": Kind(fields=("author",)), "ticket": Kind(sold=True)}
    found = {one.code: [each.id for each in one.examples] for one in examine(items, kinds=kinds).findings}
    assert found["no_price"] == ["p", "t"]
    assert found["lacks_field"] == ["a"]
