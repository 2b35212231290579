"""Both stores of judgments keep every promise on every database, a broken one is caught, and they move along."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bodega.adapters.sql import SqlStore
from bodega.adapters.sql.copying import digests
from bodega.adapters.sql.moving import move
from bodega.protocols import JudgmentStore, NoProgress
from bodega.testing.checks import ContractBroken
from bodega.testing.judgments import JUDGMENT_CHECKS, MemoryJudgments, judged, replaces_what_one_judge_said

each_check = pytest.mark.parametrize("check", JUDGMENT_CHECKS, ids=lambda check: check.__name__)


@each_check
def test_sql_judgments(check: Callable[[JudgmentStore], None], tmp_path: Path) -> None:
    with SqlStore.open(f"sqlite:///{tmp_path}/shop.db") as store:
        check(store.judgments)


@each_check
def test_memory_judgments(check: Callable[[JudgmentStore], None]) -> None:
    check(MemoryJudgments())


def test_postgres_judgments(fresh_postgres_url: str) -> None:
    with SqlStore.open(fresh_postgres_url) as store:
        for check in JUDGMENT_CHECKS:
            check(store.judgments)
            store.judgments.delete([each.key for each in store.judgments.scan()])


def test_both_databases_hold_the_same(tmp_path: Path, fresh_postgres_url: str) -> None:
    told = []
    for url in (f"sqlite:///{tmp_path}/shop.db", fresh_postgres_url):
        with SqlStore.open(url) as store:
            store.judgments.put([judged(f"评{n % 4}", f"i{n}", n % 4) for n in range(40)])
            store.judgments.replace("clicks", "pbm", [judged("tea", f"i{n}", n % 4, "clicks", "pbm") for n in range(9)])
            rows = next(table for table in digests(store.database, NoProgress()) if table.name == "judgments")
            told.append((rows, list(store.judgments.scan()), store.judgments.counts()))
    assert told[0] == told[1]
    assert told[0][0].rows == 49


def test_judgments_move_with_the_shop(tmp_path: Path) -> None:
    one, other = f"sqlite:///{tmp_path}/one.db", f"sqlite:///{tmp_path}/other.db"
    with SqlStore.open(one) as store:
        store.judgments.put([judged("tea", "a", 3), judged("tea", "b", 0)])
        held = list(store.judgments.scan())
    move(one, other, NoProgress())
    with SqlStore.open(other) as store:
        assert list(store.judgments.scan()) == held


class ForgetsOthers(MemoryJudgments):
    """A broken twin: what one judge says anew wipes what the others said."""

    def replace(self, origin, who, judgments):  # type: ignore[no-untyped-def,override]
        self._held.clear()
        return self.put(judgments)


def test_a_store_that_forgets_other_judges_is_caught() -> None:
    with pytest.raises(ContractBroken):
        replaces_what_one_judge_said(ForgetsOthers())
