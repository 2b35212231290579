"""A merchandiser's day in a real shop: rules act on the next answer, are previewed, audited, undone, and survive."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import bodega
from bodega import Event, EventType, Filter, Item, Request, Shop, Sort
from bodega.cli import main
from bodega.schema import (
    Boost,
    Bury,
    Hide,
    Match,
    Narrow,
    Phrase,
    Pin,
    Redirect,
    Replace,
    Rule,
    Segment,
    SegmentKind,
    ShowBanner,
    Synonyms,
    When,
)

NOW = datetime.now(UTC).replace(microsecond=0)
SHOES, BAGS = 600, 40


def catalog() -> list[Item]:
    shoes = [
        Item(id=f"shoe{n}", title="Trail shoe", brand="Acme" if n % 10 == 7 else "Bolt", category=("Shoes", "Trail"),
             price=20.0 + n)
        for n in range(SHOES)
    ]  # fmt: skip
    bags = [
        Item(id=f"bag{n}", title=f"Leather bag {n}", brand="Cap", category=("Bags",), price=9.0 + n, group=f"g{n // 2}")
        for n in range(BAGS)
    ]
    return [*shoes, *bags, Item(id="sold", title="Trail shoe last pair", category=("Shoes",), stock=0)]


def log() -> list[Event]:
    return [
        Event(
            id=f"e{n}",
            type=EventType.PURCHASE,
            time=NOW - timedelta(hours=n),
            user=f"u{n % 40}",
            session=f"s{n}",
            item=f"shoe{n * 7 % 50}" if n % 3 else f"bag{n % BAGS}",
        )
        for n in range(500)
    ] + [
        Event(id=f"q{n}", type=EventType.SEARCH, time=NOW - timedelta(hours=n), user=f"u{n}", query="trail shoe")
        for n in range(25)
    ]


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rules") / "shop"
    folder.mkdir()
    (folder / "bodega.toml").write_text('[understand]\nencoder = "none"\n', "utf-8")  # quicker; rules need none
    with bodega.open(folder) as shop:
        shop.catalog.upsert(catalog())
        shop.events.record(log())
        assert shop.learn().published
    return folder


@pytest.fixture
def shop(learned: Path, tmp_path: Path) -> Iterator[Shop]:
    folder = tmp_path / "shop"
    shutil.copytree(learned, folder)
    with bodega.open(folder) as opened:
        yield opened


def query(text: str, match: Match = Match.EXACT, **more: Any) -> When:
    return When(queries=(Phrase(text, match),), **more)


def put(shop: Shop, name: str, when: When, *actions: Any, **more: Any) -> None:
    shop.rules.put(Rule(id=name, when=when, then=actions, **more), who="ann")


def test_pins_stand_at_their_positions_on_every_page_and_are_counted_once(shop):
    plain = shop.search("trail shoe", k=30)
    put(shop, "r", query("trail shoe"), Pin("bag3", 1), Pin("shoe599", 12), Pin(plain.ids[0], 3))
    pages = [shop.search("trail shoe", k=10, offset=offset, facets=("brand",)) for offset in (0, 10, 20)]
    ids = [item for page in pages for item in page.ids]
    assert (ids[0], ids[11], ids[2]) == ("bag3", "shoe599", plain.ids[0])
    others = [item for item in plain.ids if item not in ("shoe599", plain.ids[0])]
    assert [item for item in ids if item not in ("bag3", "shoe599", plain.ids[0])] == others[: len(ids) - 3]
    assert {page.total for page in pages} == {plain.total + 1}, "the bag joined the matches, the shoes were there"
    counts = {value.value: value.count for value in pages[0].facets[0].values}
    assert counts["Cap"] == 1
    assert sum(counts.values()) == plain.total + 1 - 1, "all but the brandless last pair carry a brand"
    assert pages[0].rules == ("r",)
    whole = shop.search("trail shoe", k=1_000).ids
    assert len(whole) == len(set(whole)) == plain.total + 1


def test_a_pin_obeys_the_shoppers_filters_and_order(shop):
    put(shop, "r", query("trail shoe"), Pin("bag3", 1))
    acme = (Filter(field="brand", values=("Acme",)),)
    filtered = shop.search("trail shoe", filters=acme)
    assert "bag3" not in filtered.ids
    assert filtered.total == SHOES // 10
    cheap = shop.search("trail shoe", sort=Sort.PRICE_UP, k=3)
    assert cheap.ids == ["bag3", "shoe0", "shoe1"], "by price it stands where its price puts it"
    assert cheap.total == shop.search("trail shoe").total
    assert all(reason.source != "rule" for reason in cheap[0].why)


def test_a_pinned_variant_speaks_for_its_group(shop):
    plain = shop.search("leather bag", k=100)
    put(shop, "r", query("leather bag"), Pin("bag7", 1), Pin("bag6", 2))
    page = shop.search("leather bag", k=100)
    assert page.ids[0] == "bag7"
    assert "bag6" not in page.ids
    assert page.total == plain.total == BAGS // 2


def test_hidden_items_are_nowhere_and_not_counted(shop):
    plain = shop.search("trail shoe", facets=("brand",))
    put(shop, "r", query("trail", Match.CONTAINS), Hide(filters=(Filter(field="brand", values=("Acme",)),)))
    page = shop.search("trail shoe", k=1_000, facets=("brand",))
    assert page.total == plain.total - SHOES // 10
    assert [value.value for value in page.facets[0].values] == ["Bolt"]
    assert all(hit.item.brand != "Acme" for hit in page)
    put(shop, "everywhere", When(places=("*",)), Hide(items=("shoe7",)))
    assert "shoe7" not in shop.recommend("popular", k=100).ids


def test_a_boost_reaches_what_stands_far_down_and_a_bury_lowers(shop):
    acme = (Filter(field="brand", values=("Acme",)),)
    plain = [hit.item.brand for hit in shop.search("trail shoe", k=60)]
    put(shop, "r", query("trail shoe"), Boost(filters=acme, factor=100))
    page = shop.search("trail shoe", k=60)
    assert plain.count("Acme") < 20, "one shoe of ten is theirs"
    assert [hit.item.brand for hit in page].count("Acme") > 50, "but for what is bought most"
    assert {reason.text for reason in page[0].why if reason.source == "rule"} == {"Preferred by the shop"}
    first = shop.search("leather bag", k=1).ids[0]
    put(shop, "b", query("leather bag"), Bury(items=(first,), factor=100))
    assert first not in shop.search("leather bag", k=5).ids


def test_filters_redirects_banners_and_words(shop):
    put(shop, "f", query("cheap trail shoe"), Narrow((Filter(field="price", high=29.0),)))
    assert shop.search("cheap trail shoe", k=100).total == 10
    put(shop, "s", query("sale"), Redirect("/sale"), ShowBanner("<b>Sale</b>", url="/sale"))
    page = shop.search("sale")
    assert page.redirect == "/sale"
    assert (page.banners[0].text, page.banners[0].rule) == ("<b>Sale</b>", "s")
    put(shop, "w", When(), Replace("bag", words="purse"))
    assert shop.search("leather purse").total == shop.search("leather bag").total
    put(shop, "y", When(), Synonyms(("handbag", "bag")))
    assert shop.search("handbag").total == BAGS // 2
    verbatim = shop.answer(Request(place="search", query="leather purse", verbatim=True))
    assert "w" not in verbatim.rules


def test_browse_pages_and_segments(shop):
    put(shop, "c", When(categories=("Shoes",)), Pin("bag1", 2))
    shoes = (Filter(field="category", values=("Shoes > Trail",)),)
    page = shop.answer(Request(place="category", k=5, filters=shoes))
    assert "bag1" not in page.ids, "the shopper chose the category: a bag is not in it"
    put(shop, "c", When(categories=("Shoes",)), Pin("shoe555", 2))
    assert shop.answer(Request(place="category", k=5, filters=shoes)).ids[1] == "shoe555"
    assert shop.answer(Request(place="category", k=5)).rules == ()
    fans = When(segments=(Segment(SegmentKind.LIKES, field="brand", value="Cap"),), queries=(Phrase("trail shoe"),))
    put(shop, "fans", fans, Pin("shoe500", 1))
    put(shop, "vip", query("trail shoe", segments=(Segment(SegmentKind.NAMED, name="vip"),)), Pin("shoe501", 2))
    fan = next(event.user for event in log() if event.item.startswith("bag"))
    assert shop.search("trail shoe", user=fan).ids[0] == "shoe500"
    assert shop.search("trail shoe", user="nobody").ids[0] != "shoe500"
    asked = Request(place="search", query="trail shoe", user=fan, segments=("vip",))
    assert shop.answer(asked).ids[:2] == ["shoe500", "shoe501"]
    impersonal = Request(place="search", query="trail shoe", user=fan, segments=("vip",), personal=False)
    assert shop.answer(impersonal).rules == ()


def test_reasons_in_chinese(shop):
    put(shop, "r", query("trail shoe"), Pin("shoe9", 1))
    page = shop.answer(Request(place="search", query="trail shoe", language="zh"))
    assert page[0].why[0].text == "店铺置顶"
    assert sum(reason.share for reason in page[0].why) == pytest.approx(1, abs=1e-3)


def test_a_reopened_shop_and_another_process_see_the_same_rules(shop, monkeypatch):
    with bodega.open(shop.folder) as other:
        assert other.search("trail shoe").rules == ()
        put(shop, "r", query("trail shoe"), Pin("shoe444", 1))
        assert shop.search("trail shoe").ids[0] == "shoe444", "the very next answer"
        other.restock()
        assert other.search("trail shoe").ids[0] == "shoe444", "as the running server looks"
        shop.rules.enable("r", False, who="ann")
        monkeypatch.setattr("bodega.engine.rulebooks.LOOK_EVERY", 0.0)
        assert other.search("trail shoe").rules == (), "as it answers"
    with bodega.open(shop.folder) as again:
        assert again.rules.get("r").enabled is False
        again.rules.undo(2, who="bob")
        assert again.search("trail shoe").ids[0] == "shoe444"
        assert [line.who for line in again.rules.history()] == ["bob", "ann", "ann"]


def test_a_preview_tells_what_would_move_and_changes_nothing(shop):
    before = shop.search("trail shoe").ids
    draft = Rule(id="r", when=query("trail", Match.CONTAINS), then=(Pin("bag3", 1), Hide(items=(before[4],))))
    found = shop.rules.preview(draft, queries=["trail shoe", "leather bag"])
    moved, still = found.rows
    assert (moved.changed, still.changed, found.changed) == (True, False, 1)
    assert moved.after[0] == "bag3"
    assert moved.entered[0] == "bag3"
    assert before[4] in moved.left
    assert (moved.moved[0].item, moved.moved[0].before, moved.moved[0].after) == (before[0], 1, 2)
    assert moved.total_after == moved.total_before, "one came, one went"
    assert shop.search("trail shoe").ids == before
    assert "trail shoe" in [row.query for row in shop.rules.preview(draft).rows], "25 people asked it"


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["bodega", *map(str, words)])
    capsys.readouterr()
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_same_from_the_command_line(learned, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "shop"
    shutil.copytree(learned, folder)
    monkeypatch.setenv("BODEGA_SHOP", str(folder))

    def told(*words: object) -> Any:
        code, out, err = run(monkeypatch, capsys, "rules", *words)
        assert code == 0, err
        return json.loads(out)

    rule = {
        "id": "r",
        "when": {"queries": [{"text": "trail shoe"}]},
        "then": [{"do": "pin", "item": "shoe9", "position": 1}],
    }
    file = tmp_path / "rule.json"
    file.write_text(json.dumps(rule), "utf-8")
    assert told("preview", file, "-q", "trail shoe", "--json")["changed"] == 1
    assert told("list", "--json") == {"rules": []}
    assert told("add", file, "--json")["rules"][0]["version"] == 1
    code, _, err = run(monkeypatch, capsys, "rules", "add", file)
    assert (code, "already" in err) == (2, True)
    assert told("set", "r", "priority=5", "when.end=2099-01-01T00:00:00Z", "--json")["rules"][0]["priority"] == 5
    assert told("disable", "r", "--json")["rules"][0]["enabled"] is False
    assert "enabled" not in told("enable", "r", "--json")["rules"][0], "what is as usual is not said"
    code, out, _ = run(monkeypatch, capsys, "search", "trail shoe", "--json")
    assert json.loads(out)["hits"][0]["id"] == "shoe9"
    code, exported, _ = run(monkeypatch, capsys, "rules", "export")
    copy = tmp_path / "rules.jsonl"
    copy.write_text(exported, "utf-8")
    assert told("delete", "r", "--json") == {"deleted": "r"}
    assert told("import", copy, "--json")["rules"][0]["when"]["end"] == "2099-01-01T00:00:00Z"
    assert [line["what"] for line in told("audit", "--json")["changes"]][:2] == ["create", "delete"]
    assert told("undo", "--json")["after"] is None
    for words in (("list",), ("audit",), ("preview", file, "-q", "trail shoe")):
        code, out, err = run(monkeypatch, capsys, "rules", *words)
        assert (code, bool(out)) == (0, True), err
    wrong = {
        ("show", "nothing"): "no such rule",
        ("set", "r", "priority"): "no such rule",
        ("undo", "99"): "no such change",
        ("add", str(tmp_path / "none.json")): "no such file",
        ("preview", "nothing"): "no such rule",
    }
    for words, said in wrong.items():
        code, _, err = run(monkeypatch, capsys, "rules", *words)
        assert (code, said in err) == (2, True), err


def test_lists_without_words_obey_rules_too(shop):
    everywhere = When(places=("home", "popular", "similar", "basket"))
    put(shop, "r", everywhere, Pin("shoe333", 2), Hide(filters=(Filter(field="brand", values=("Cap",)),)))
    lists = [
        shop.recommend("home", user="u1"),
        shop.recommend("popular", user="u1"),
        shop.similar("shoe0"),
        shop.complete(["shoe0", "bag3"]),
        shop.recommend("home"),
    ]
    for page in lists:
        assert page.ids[1] == "shoe333", page.place
        assert page.rules == ("r",)
        assert not any(hit.item.brand == "Cap" for hit in page)
        assert len(set(page.ids)) == len(page) == 20
    assert "shoe333" not in shop.similar("shoe333").ids, "the item of the page is not shown on it"
