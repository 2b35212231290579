"""Both stores of reviews keep every promise on every database, a broken one is caught, and rows are personal data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bodega.adapters.sql import SqlStore
from bodega.adapters.sql.copying import digests
from bodega.adapters.sql.reviews import SqlReviews
from bodega.protocols import NoProgress, ReviewStore
from bodega.schema import Review
from bodega.testing._review_checks import review
from bodega.testing.checks import REVIEW_CHECKS, ContractBroken, check_review_store
from bodega.testing.fakes import MemoryStores
from bodega.testing.reviews import MemoryReviews

each_check = pytest.mark.parametrize("check", REVIEW_CHECKS, ids=lambda check: check.__name__)


@each_check
def test_sql_reviews(check: Callable[[ReviewStore], None], tmp_path: Path) -> None:
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as store:
        check(store.reviews)


@each_check
def test_memory_reviews(check: Callable[[ReviewStore], None]) -> None:
    check(MemoryReviews())


def test_postgres_reviews(fresh_postgres_url: str) -> None:
    with SqlStore.open(fresh_postgres_url) as store:
        for check in REVIEW_CHECKS:
            check(store.reviews)
            with store.database.writing() as connection:
                connection.exec_driver_sql("DELETE FROM reviews")
                connection.exec_driver_sql("UPDATE meta SET value = 0 WHERE name = 'review_seq'")


def test_both_databases_hold_the_same(tmp_path: Path, fresh_postgres_url: str) -> None:
    told = []
    for url in (f"sqlite:///{tmp_path}/shop.db", fresh_postgres_url):
        with SqlStore.open(url) as store:
            store.reviews.upsert([review(n, title="评" * n) for n in range(30)], now=1e9)
            store.reviews.upsert([review(3, text="anew", stars=None, time=None)], now=2e9)
            store.reviews.flag({"r4": ["links"]})
            store.reviews.decide(["r5"], "hide")
            rows = next(table for table in digests(store.database, NoProgress()) if table.name == "reviews")
            told.append((rows, list(store.reviews.scan()), store.reviews.page("tent", sort="helpful", limit=50)))
    assert told[0] == told[1]
    assert told[0][0].rows == 30


class ShowsFlagged(MemoryReviews):
    """A broken twin: what is flagged stays on the pages."""

    def page(self, item, **how):  # type: ignore[no-untyped-def,override]
        found = [kept for kept in self.scan() if kept.review.item == item]
        return len(found), found


def test_a_store_that_shows_what_is_flagged_is_caught() -> None:
    with pytest.raises(ContractBroken):
        check_review_store(ShowsFlagged)


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_an_erasure_takes_the_reviews_of_who_is_forgotten(kind: str, tmp_path: Path) -> None:
    store = MemoryStores() if kind == "memory" else SqlStore.open(f"sqlite:///{tmp_path}/shop.db")
    store.reviews.upsert([review(1), review(2), Review(item="tent", text="nobody's")])
    assert store.people.names()[0] == ["u1", "u2"]
    gone = store.people.erase(["u1"], [])
    assert gone.rows["reviews"] == 1
    assert [kept.review.user for kept in store.reviews.scan()].count("u1") == 0
    assert store.reviews.count() == 2
    store.close()


def test_the_end_of_a_retention_takes_the_name_and_leaves_the_review(tmp_path: Path) -> None:
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as store:
        store.reviews.upsert([review(1), review(30)])
        gone = store.people.expire(review(10).time.timestamp())  # type: ignore[union-attr]
        assert gone.rows["reviews"] == 1
        held = {kept.review.id: kept.review.user for kept in store.reviews.scan()}
        assert held == {"r1": "", "r30": "u30"}


def test_rows_come_under_a_new_key_and_an_import_finds_them_again(tmp_path: Path) -> None:
    from bodega.events.border import Border
    from bodega.events.pseudonyms import Secrets

    border = Border(Secrets(tmp_path), pseudonyms=True)
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as store:
        store.reviews.upsert([Review(item="tent", user="ann", text="Dry."), review(2)])
        assert store.people.rekey(border)["reviews"] == 2
        pseudonym = border.name("user", "ann")
        assert store.reviews.of_user([pseudonym])[0].review.text == "Dry."
        again = store.reviews.upsert([Review(item="tent", user=pseudonym, text="Dry.")])
        assert (again.added, store.reviews.count()) == (0, 2)


def test_the_class_is_the_one_that_the_shop_uses(tmp_path: Path) -> None:
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as store:
        assert isinstance(store.reviews, SqlReviews)
