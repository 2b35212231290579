"""`bodega rules mine`: proposals with their evidence, and rules that do nothing until a person switches them on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import bodega
from bodega.cli import main
from bodega.engine.mining import synonym_rule, unknown
from bodega.engine.shop import Shop
from bodega.schema import Event, EventType, Item, Rule, Synonyms, checked_rule
from bodega.understanding.query.synonyms import Proposal

START = datetime(2026, 9, 1, tzinfo=UTC)
Run = Callable[..., str]


def events(people: int) -> list[Event]:
    """So many people click the three sofas after "sofa bed", and as many others after "couch bed"."""
    return [
        Event(
            id=f"{query}-{number}",
            type=EventType.CLICK,
            time=START + timedelta(hours=number),
            user=f"{query}-{number}",
            item=f"s{number % 3}",
            query=query,
        )
        for query in ("sofa bed", "couch bed")
        for number in range(people)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with bodega.open(tmp_path / "shop") as shop:
        shop.catalog.upsert([Item(id=f"s{number}", title=f"Sofa bed {number}") for number in range(3)])
        shop.events.record(events(6))
    return tmp_path / "shop"


@pytest.fixture
def shop(folder: Path) -> Iterator[Shop]:
    with bodega.open(folder) as opened:
        yield opened


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """What `bodega rules ...` prints about this shop."""
    monkeypatch.setenv("COLUMNS", "200")

    def runs(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["bodega", "rules", *words, "--shop", str(folder)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        assert not stopped.value.code
        return capsys.readouterr().out

    return runs


def test_a_shop_mines_its_whole_log_without_having_learned(shop: Shop) -> None:
    (found,) = shop.synonyms(people=5)
    assert (found.one, found.other, found.people) == ("couch", "sofa", 6)
    assert shop.synonyms() == [], "fewer people than understand.people asked"


def test_mining_shows_and_changes_nothing_unless_told(run: Run, shop: Shop) -> None:
    shown = run("mine", "--people", "5")
    assert "couch" in shown
    assert "100%" in shown
    assert "--add" in shown
    assert shop.rules.list() == []


def test_what_is_added_is_switched_off_and_can_be_reviewed(run: Run, shop: Shop) -> None:
    told = json.loads(run("mine", "--people", "5", "--add", "--json"))
    (name,) = told["added"]
    assert told["proposals"][0]["new"]
    rule = shop.rules.get(name)
    assert not rule.enabled
    assert rule.id.startswith("mined-couch-sofa-")
    assert rule.then == (Synonyms(("couch", "sofa")),)
    assert "6 people" in rule.note
    assert '"couch bed"' in rule.note
    assert rule.author == "cli"
    shop.learn()
    assert shop.search("couch", verbatim=False).rules == ()
    assert "1 of" in run("preview", name, "-q", "couch")
    run("enable", name)
    shop.rules.refresh()
    assert sorted(shop.search("couch").ids) == ["s0", "s1", "s2"]
    assert name in shop.search("couch").rules


def test_mining_again_leaves_alone_what_a_person_decided(run: Run, shop: Shop) -> None:
    (name,) = json.loads(run("mine", "--people", "5", "--add", "--json"))["added"]
    run("enable", name)
    again = json.loads(run("mine", "--people", "5", "--add", "--json"))
    assert again["added"] == []
    assert not again["proposals"][0]["new"]
    assert shop.rules.get(name).enabled
    assert "nothing new" in run("mine", "--people", "5", "--add")


def test_pairs_that_any_rule_names_are_not_proposed_again() -> None:
    proposal = Proposal("couch", "sofa", 0.9, 30, ())
    other = Proposal("couch", "settee", 0.9, 30, ())
    own = Rule(id="mine", then=(Synonyms(("Sofas", "settle", "couch")),), enabled=False)
    assert unknown([proposal, other], [own]) == [other]


def test_an_empty_log_says_what_is_needed(run: Run) -> None:
    shown = run("mine", "--people", "500")
    assert "no synonyms to propose" in shown
    assert "500" in shown
    assert "query" in shown


@pytest.mark.parametrize(
    ("one", "other"),
    [("沙发", "长椅"), ("a" * 90, "b" * 90), ("tv", "télé"), ("-", "..."), ("two words", "three more words")],
)
def test_any_pair_of_words_makes_an_id_that_rules_accept(one: str, other: str) -> None:
    rule = synonym_rule(Proposal(one, other, 0.5, 20, ((one, other),)))
    assert rule.id.startswith("mined-")
    assert rule.id != synonym_rule(Proposal(other, one, 0.5, 20, ())).id
    if any(char.isalnum() for char in one):
        assert checked_rule(rule) == rule
