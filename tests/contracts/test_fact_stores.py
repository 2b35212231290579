"""Every store of facts keeps the same promises: SQLite, PostgreSQL, memory; and what they answer is equal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bodega.adapters.sql import SqlStore
from bodega.adapters.sql.moving import move
from bodega.protocols import NoProgress
from bodega.schema import Item
from bodega.schema.facts import EVERY_ITEM, Fact, FactEvidence, FactKey, FactQuery
from bodega.testing.fakes import MemoryStores

READ = FactEvidence("title", 0, 3, "Red", "dictionary")
FACTS = [
    Fact(item="a", attribute="color", value="Red", kind="colour", confidence=0.95, evidence=(READ,)),
    Fact(item="b", attribute="color", value="Blue", kind="colour", confidence=0.6, conflicts=("Red",)),
    Fact(item="b", attribute="size_g", value="500", kind="quantity", number=500.0, confidence=0.9),
    Fact(item="中", attribute="color", value="红色", kind="colour", confidence=0.8),
]
RED = FACTS[0].key


def filled(stores: Any) -> Any:
    stores.catalog.upsert([Item(id=name, title="x") for name in ("a", "b", "中")])
    stores.facts.replace(None, FACTS)
    return stores


@pytest.fixture(params=["sqlite", "memory"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "memory":
        yield filled(MemoryStores())
        return
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as store:
        yield filled(store)


def ids(facts: list[Fact]) -> list[tuple[str, str]]:
    return [(fact.item, fact.value) for fact in facts]


def test_facts_come_back_as_they_were_in_the_order_of_their_keys(stores: Any) -> None:
    assert stores.facts.list(FactQuery()) == FACTS
    assert list(stores.facts.stream()) == FACTS


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (FactQuery(item="b"), ["Blue", "500"]),
        (FactQuery(attribute="color", least=0.7), ["Red", "红色"]),
        (FactQuery(most=0.7), ["Blue"]),
        (FactQuery(value="红色"), ["红色"]),
        (FactQuery(conflicts=True), ["Blue"]),
        (FactQuery(conflicts=False, limit=2), ["Red", "500"]),
        (FactQuery(after=("b", "color", "Blue")), ["500", "红色"]),
        (FactQuery(status="accepted"), []),
        (FactQuery(item="nobody"), []),
    ],
)
def test_questions(stores: Any, query: FactQuery, found: list[str]) -> None:
    assert [fact.value for fact in stores.facts.list(query)] == found


def test_replacing_touches_only_the_items_named(stores: Any) -> None:
    stores.facts.replace(["b", "gone"], [Fact(item="b", attribute="color", value="Green", confidence=0.9)])
    assert ids(stores.facts.list(FactQuery())) == [("a", "Red"), ("b", "Green"), ("中", "红色")]
    stores.facts.replace(None, [])
    assert stores.facts.list(FactQuery()) == []


def test_a_decision_outlives_every_mining(stores: Any) -> None:
    assert stores.facts.decide([RED], False, who="kim") == 1
    stores.facts.replace(None, [])
    stores.facts.replace(None, FACTS)
    assert ids(stores.facts.list(FactQuery(status="rejected"))) == [("a", "Red")]
    (decision,) = stores.facts.decisions()
    assert (decision.key, decision.accepted, decision.who) == (RED, False, "kim")


def test_the_own_decision_stands_above_that_for_every_item(stores: Any) -> None:
    stores.facts.decide([FactKey(EVERY_ITEM, "color", "Red")], False, who="kim")
    assert ids(stores.facts.list(FactQuery(status="rejected"))) == [("a", "Red")]
    stores.facts.decide([RED], True, who="kim")
    assert ids(stores.facts.list(FactQuery(status="accepted"))) == [("a", "Red")]
    assert stores.facts.decide([RED], None, who="kim") == 1
    assert ids(stores.facts.list(FactQuery(status="rejected"))) == [("a", "Red")]


def test_deciding_again_changes_nothing(stores: Any) -> None:
    before = stores.facts.cursor()
    assert stores.facts.decide([RED, RED], True, who="kim") == 1
    after = stores.facts.cursor()
    assert after != before
    assert stores.facts.decide([RED], True, who="lee") == 0
    assert stores.facts.cursor() == after


def test_what_is_decided_on_counts_as_changed_in_the_catalog(stores: Any) -> None:
    cursor = stores.catalog.cursor()
    stores.facts.decide([RED, FactKey(EVERY_ITEM, "color", "Blue"), FactKey("nobody", "color", "x")], True, who="kim")
    _, changes = stores.catalog.changes(cursor)
    assert sorted(name for name, _ in changes) == ["a", "b"]
    assert all(item == Item(id=name, title="x") for name, item in changes)


def test_counts(stores: Any) -> None:
    stores.facts.decide([RED], True, who="kim")
    stores.facts.decide([FactKey(EVERY_ITEM, "color", "红色")], False, who="kim")
    colour, size = stores.facts.counts()
    assert (colour.attribute, colour.facts, colour.items, colour.conflicts) == ("color", 3, 3, 1)
    assert (colour.accepted, colour.rejected) == (1, 1)
    assert (size.attribute, size.kind, size.facts, size.accepted, size.rejected) == ("size_g", "quantity", 1, 0, 0)


def test_a_nul_is_left_out_and_a_batch_is_kept(stores: Any) -> None:
    stores.facts.replace(["a"], [Fact(item="a", attribute="color", value="R\0d"), FACTS[0]])
    assert ids(stores.facts.list(FactQuery(item="a"))) == [("a", "Red")]


def test_postgres_keeps_the_same_promises(fresh_postgres_url: str, tmp_path: Path) -> None:
    """One database for all: what both answer, question by question, is equal; so is a shop that moved."""
    said = []
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as one, SqlStore.open(fresh_postgres_url) as other:
        for stores in (filled(one), filled(other)):
            facts = stores.facts
            facts.decide([RED, FactKey(EVERY_ITEM, "color", "Blue")], False, who="kim")
            facts.decide([FactKey("b", "color", "Blue")], True, who="kim")
            facts.replace(["中"], [FACTS[3]])
            queries = (FactQuery(), FactQuery(status="rejected"), FactQuery(conflicts=True), FactQuery(least=0.9))
            decided = [(one.key, one.accepted) for one in facts.decisions()]
            cursor, changes = stores.catalog.changes(3)
            said.append(
                [
                    *(facts.list(query) for query in queries),
                    list(facts.stream()),
                    facts.counts(),
                    decided,
                    cursor,
                    changes,
                ]
            )
    assert said[0] == said[1]


def test_facts_move_with_their_shop(fresh_postgres_url: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.db"
    with SqlStore.open(url) as store:
        filled(store).facts.decide([RED], True, who="kim")
        before = store.facts.list(FactQuery()), store.facts.decisions()
    report = move(url, fresh_postgres_url, NoProgress())
    assert {"facts", "fact_decisions"} <= {table.name for table in report.tables}
    with SqlStore.open(fresh_postgres_url) as store:
        assert (store.facts.list(FactQuery()), store.facts.decisions()) == before
