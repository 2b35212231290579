"""Both stores of rules keep every promise, a broken one is caught, and a reopened or shared one shows the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import inspect

from bodega.adapters.sql import SqlStore, migrate
from bodega.protocols import RuleChange, RuleStore
from bodega.schema import Hide, Item, Pin, Rule
from bodega.testing import checks
from bodega.testing.checks import RULE_CHECKS, ContractBroken
from bodega.testing.fakes import MemoryRules


def url(folder: Path) -> str:
    return f"sqlite:///{folder}/shop.db"


@pytest.mark.parametrize("check", RULE_CHECKS, ids=lambda check: check.__name__)
def test_sql_rules(check: Callable[[RuleStore], None], tmp_path: Path) -> None:
    with SqlStore.open(url(tmp_path)) as store:
        check(store.rules)


@pytest.mark.parametrize("check", RULE_CHECKS, ids=lambda check: check.__name__)
def test_memory_rules(check: Callable[[RuleStore], None]) -> None:
    check(MemoryRules())


def test_a_reopened_store_holds_the_same_rules_and_trail(tmp_path):
    with SqlStore.open(url(tmp_path)) as store:
        store.rules.put([Rule(id="a", name="夏", then=(Pin("x", 3), Hide(items=("y",))))], who="till 2")
        store.rules.put([Rule(id="a", enabled=False, then=(Pin("x", 3),))], who="cli")
        before = store.rules.list(), store.rules.history(), store.rules.cursor()
    with SqlStore.open(url(tmp_path)) as again:
        assert (again.rules.list(), again.rules.history(), again.rules.cursor()) == before
        assert len(before[1]) == 2


def test_another_process_on_the_store_sees_the_change_by_its_cursor(tmp_path):
    with SqlStore.open(url(tmp_path)) as one, SqlStore.open(url(tmp_path)) as two:
        seen = two.rules.cursor()
        one.rules.put([Rule(id="a", then=(Hide(items=("y",)),))], who="cli")
        assert two.rules.cursor() > seen
        assert [rule.id for rule in two.rules.list()] == ["a"]


def test_a_store_of_the_first_layout_gains_rules_and_keeps_what_it_holds(tmp_path, monkeypatch):
    from alembic import command

    upgrade = command.upgrade
    with monkeypatch.context() as first:
        first.setattr(command, "upgrade", lambda config, _: upgrade(config, "0001"))
        first.setattr(migrate, "HEAD", "0001")
        with SqlStore.open(url(tmp_path)) as old:
            old.catalog.upsert([Item(id="1", title="Pasta")])
            key = old.keys.create("till", ["admin"])
            assert not inspect(old.database._engine).has_table("rules")
    with SqlStore.open(url(tmp_path)) as store:
        assert [item.title for item in store.catalog.scan()] == ["Pasta"]
        assert store.keys.find(key) is not None
        assert (store.rules.list(), store.rules.cursor()) == ([], 0)
        store.rules.put([Rule(id="a", then=(Pin("1", 1),))], who="cli")
        store.catalog.upsert([Item(id="2")])
        assert (store.rules.cursor(), store.catalog.cursor()) == (1, 2), "two counters, each its own"


class WritesOver(MemoryRules):
    def put(self, rules: Sequence[Rule], *, who: str, expected: int | None = None) -> Sequence[Rule]:
        return super().put(rules, who=who)


class ForgetsWho(MemoryRules):
    def put(self, rules: Sequence[Rule], *, who: str, expected: int | None = None) -> Sequence[Rule]:
        return super().put(rules, who="", expected=expected)


class CountsEqualWrites(MemoryRules):
    def put(self, rules: Sequence[Rule], *, who: str, expected: int | None = None) -> Sequence[Rule]:
        held = [self.get(rule.id) for rule in rules]
        if held == list(rules):
            super().delete(rules[0].id, who=who)
        return super().put(rules, who=who, expected=expected)


class UndoesAnything(MemoryRules):
    def undo(self, change: int, *, who: str) -> RuleChange:
        wanted = self._trail[change - 1]
        if wanted.before is None:
            self.delete(wanted.rule, who=who)
        else:
            self.put([msgspec.structs.replace(wanted.before, version=0)], who=who)
        return self._trail[-1]


@pytest.mark.parametrize("twin", [WritesOver, ForgetsWho, CountsEqualWrites, UndoesAnything])
def test_broken_rule_store_is_caught(twin: type[MemoryRules]) -> None:
    with pytest.raises(ContractBroken):
        checks.check_rule_store(twin)
