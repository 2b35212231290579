"""The promises of a store of merchandising rules, one function each; `checks.check_rule_store` runs them all."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec

from bodega.errors import BadRequest, LimitError, Stale
from bodega.protocols import RuleStore
from bodega.schema import Hide, Phrase, Pin, Rule, When
from bodega.schema.rules import RULES_LIMIT
from bodega.testing._broken import equal, raises, require


def _rule(name: str, position: int = 1) -> Rule:
    return Rule(
        id=name, name="电视 <b>", when=When(queries=(Phrase("tv"),)), then=(Pin("oled", position),), author="ann"
    )


def _said(rule: Rule | None) -> Rule | None:
    """The rule without what the store adds."""
    return None if rule is None else msgspec.structs.replace(rule, version=0, updated=None)


def keeps_rules_by_id(store: RuleStore) -> None:
    require(store.list() == [] and store.get("a") is None and store.cursor() == 0, "an empty store holds something")
    stored = store.put([_rule("b"), _rule("a")], who="ann")
    equal([rule.id for rule in stored], ["b", "a"], "put does not return the rules in the order given")
    equal([_said(rule) for rule in store.list()], [_rule("a"), _rule("b")], "list is not all rules by id")
    equal(store.get("a"), stored[1], "get does not give what put returned")
    require(stored[0].updated is not None, "a stored rule does not say when it was changed")


def draws_ids(store: RuleStore) -> None:
    first, second = store.put([_rule(""), _rule("")], who="ann")
    require(bool(first.id and second.id) and first.id != second.id, "a rule without an id gets one of its own")
    equal(len(store.list()), 2, "rules without ids replaced each other")


def counts_changes(store: RuleStore) -> None:
    (first,) = store.put([_rule("a")], who="ann")
    equal(first.version, store.cursor(), "the version of a rule is the number of its newest change")
    (again,) = store.put([first], who="bob")
    equal((again, store.cursor()), (first, first.version), "an equal rule written again is no change")
    (changed,) = store.put([_rule("a", 2)], who="bob")
    require(changed.version > first.version == 1, "a change raises the version by the numbers of changes")
    equal(store.cursor(), changed.version, "the cursor is the newest change")


def refuses_to_write_over_unseen_changes(store: RuleStore) -> None:
    (first,) = store.put([_rule("a")], who="ann", expected=0)
    (second,) = store.put([_rule("a", 2)], who="bob", expected=first.version)
    for expected in (0, first.version, second.version + 1):
        raises(Stale, partial(store.put, [_rule("a", 3)], who="ann", expected=expected))
        raises(Stale, partial(store.delete, "a", who="ann", expected=expected))
    raises(Stale, lambda: store.put([_rule("new"), _rule("a", 3)], who="ann", expected=0))
    equal(store.get("new"), None, "a refused batch left a part of it")
    equal(store.get("a"), second, "a refused write changed the rule")
    equal(len(store.history()), 2, "a refused write is in the trail")


def tells_who_changed_what(store: RuleStore) -> None:
    (first,) = store.put([_rule("a")], who="ann")
    (second,) = store.put([_rule("a", 2)], who="bob")
    store.put([_rule("b")], who="ann")
    require(store.delete("a", who="cid", expected=second.version), "delete does not say that there was a rule")
    require(not store.delete("a", who="cid"), "delete does not say that there was none")
    trail = store.history(rule="a")
    equal([line.what for line in trail], ["delete", "change", "create"], "the trail is not newest first")
    equal([line.who for line in trail], ["cid", "bob", "ann"], "the trail does not say who")
    equal(
        [(line.before, line.after) for line in trail], [(second, None), (first, second), (None, first)], "before, after"
    )
    equal([line.id for line in store.history()], [4, 3, 2, 1], "changes are not numbered from 1 in order")
    equal([line.id for line in store.history(limit=2, before=4)], [3, 2], "limit and before do not page the trail")


def takes_changes_back(store: RuleStore) -> None:
    store.put([_rule("a")], who="ann")
    store.put([_rule("a", 2)], who="ann")
    done = store.undo(2, who="bob")
    equal((done.what, done.who, done.undoes, done.id), ("undo", "bob", 2, 3), "an undo is a change of its own")
    equal(_said(store.get("a")), _rule("a"), "undo does not restore what was before")
    held = store.get("a")
    equal(held.version if held else 0, 3, "an undone rule has not the version of the undo")
    raises(Stale, lambda: store.undo(2, who="bob"))
    store.undo(3, who="bob")
    equal(_said(store.get("a")), _rule("a", 2), "an undo cannot be undone")
    store.delete("a", who="ann")
    store.undo(5, who="bob")
    equal(_said(store.get("a")), _rule("a", 2), "a deletion cannot be undone")
    store.put([_rule("b")], who="ann")
    store.undo(7, who="bob")
    equal(store.get("b"), None, "a creation cannot be undone")
    for number in (0, 99, -1):
        raises(BadRequest, partial(store.undo, number, who="bob"))


def loses_no_change_of_many_writers(store: RuleStore) -> None:
    def write(writer: int) -> None:
        for number in range(5):
            store.put([_rule(f"own{writer}", number + 1), _rule("shared", 10 * writer + number + 1)], who=f"w{writer}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    trail = store.history(limit=1_000)
    equal([line.id for line in trail], list(range(40, 0, -1)), "numbers of changes are not given once each")
    last: dict[str, Rule | None] = {}
    for line in reversed(trail):
        equal(line.before, last.get(line.rule), f"{line.rule} was changed from what it was not")
        last[line.rule] = line.after
    equal(sorted(last), [rule.id for rule in store.list()], "the trail and the rules differ")


def bounds_their_number(store: RuleStore) -> None:
    store.put([Rule(id=f"r{n}", then=(Hide(items=("x",)),)) for n in range(RULES_LIMIT)], who="ann")
    raises(LimitError, lambda: store.put([_rule("more")], who="ann"))
    equal(len(store.list()), RULES_LIMIT, "a refused rule was kept")
    (changed,) = store.put([Rule(id="r7", then=(Hide(items=("y",)),))], who="ann")
    equal(store.get("r7"), changed, "a full store does not let rules be changed")


RULE_CHECKS: tuple[Callable[[RuleStore], None], ...] = (
    keeps_rules_by_id,
    draws_ids,
    counts_changes,
    refuses_to_write_over_unseen_changes,
    tells_who_changed_what,
    takes_changes_back,
    loses_no_change_of_many_writers,
    bounds_their_number,
)
