"""The SQL store keeps every promise of the store protocols, as the stores in memory do; keys and layout beside them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from bodega.adapters.sql import SqlStore
from bodega.errors import BadRequest
from bodega.protocols import KeyStore
from bodega.testing.checks import CATALOG_CHECKS, EVENT_CHECKS, LETTER_CHECKS
from bodega.testing.fakes import MemoryStores


@pytest.fixture
def sql(tmp_path: Path) -> Iterator[SqlStore]:
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as store:
        yield store


@pytest.mark.parametrize("check", CATALOG_CHECKS, ids=lambda check: check.__name__)
def test_sql_catalog(check, sql):
    check(sql.catalog)


@pytest.mark.parametrize("check", EVENT_CHECKS, ids=lambda check: check.__name__)
def test_sql_events(check, sql):
    check(sql.events)


@pytest.mark.parametrize("check", LETTER_CHECKS, ids=lambda check: check.__name__)
def test_sql_letters(check, sql):
    check(sql.dead)


@pytest.mark.parametrize("kind", ["sql", "memory"])
def test_keys(kind, sql):
    keys: KeyStore = sql.keys if kind == "sql" else MemoryStores().keys
    key = keys.create("till", ["events", "search"])
    other = keys.create("console", ["admin"])
    info = keys.find(key)
    assert info is not None
    assert (info.label, set(info.scopes), info.revoked) == ("till", {"search", "events"}, False)
    assert keys.find(key[:-1]) is None
    assert keys.find("") is None
    assert keys.revoke(info.id)
    assert not keys.revoke(info.id)
    assert not keys.revoke("nothing")
    assert keys.find(key) is None
    assert keys.find(other) is not None
    assert {(one.label, one.revoked) for one in keys.list()} == {("till", True), ("console", False)}


def test_a_key_is_nowhere_in_the_file(sql, tmp_path):
    key = sql.keys.create("till", ["search"])
    sql.close()
    assert key.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    row = sqlite3.connect(f"file:{tmp_path}/shop.db?mode=ro", uri=True).execute("SELECT * FROM api_keys").fetchone()
    assert "till" in row, "the file that was searched holds the key's row"


@pytest.mark.parametrize("scopes", [[], ["search", "root"]])
def test_unknown_scopes_are_refused(sql, scopes):
    with pytest.raises(BadRequest, match="search, events, admin"):
        sql.keys.create("till", scopes)
    assert sql.keys.list() == []
