"""The store on PostgreSQL keeps every promise that it keeps on SQLite: the same checks, against a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bodega.adapters.sql import SqlStore
from bodega.testing.checks import (
    ANSWER_CHECKS,
    CATALOG_CHECKS,
    EVENT_CHECKS,
    EXPERIMENT_CHECKS,
    LETTER_CHECKS,
    RULE_CHECKS,
)


@pytest.fixture
def sql(fresh_postgres_url: str) -> Iterator[SqlStore]:
    with SqlStore.open(fresh_postgres_url) as store:
        yield store


@pytest.mark.parametrize("check", CATALOG_CHECKS, ids=lambda check: check.__name__)
def test_postgres_catalog(check, sql):
    check(sql.catalog)


@pytest.mark.parametrize("check", EVENT_CHECKS, ids=lambda check: check.__name__)
def test_postgres_events(check, sql):
    check(sql.events)


@pytest.mark.parametrize("check", LETTER_CHECKS, ids=lambda check: check.__name__)
def test_postgres_letters(check, sql):
    check(sql.dead)


@pytest.mark.parametrize("check", EXPERIMENT_CHECKS, ids=lambda check: check.__name__)
def test_postgres_experiments(check, sql):
    check(sql.experiments)


@pytest.mark.parametrize("check", ANSWER_CHECKS, ids=lambda check: check.__name__)
def test_postgres_answers(check, sql):
    check(sql.answers)


@pytest.mark.parametrize("check", RULE_CHECKS, ids=lambda check: check.__name__)
def test_postgres_rules(check, sql):
    check(sql.rules)
