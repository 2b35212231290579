"""The promises of a store of experiments, one function each; `checks.check_experiment_store` runs them all."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from bodega.errors import BadRequest, Conflict, Stale
from bodega.protocols import ExperimentStore
from bodega.schema.experiments import Arm, Experiment, State
from bodega.testing._broken import equal, raises, require


def _test(name: str, first: int = 0, last: int = 10_000, layer: str = "default") -> Experiment:
    arms = (Arm(name="control"), Arm(name="mixed", settings={"diversity.home.strength": 0.2}))
    return Experiment(id=name, arms=arms, hypothesis="多样 <b>", layer=layer, first=first, last=last)


def keeps_experiments_by_id(store: ExperimentStore) -> None:
    require(store.list() == [] and store.get("a") is None and store.cursor() == 0, "an empty store holds something")
    kept = [store.put(_test(name), who="ann") for name in ("b", "a")]
    equal([each.id for each in store.list()], ["a", "b"], "list is not all experiments by id")
    equal(store.get("b"), kept[0], "get does not give what put returned")
    equal((kept[0].state, kept[0].experiment), ("draft", _test("b")), "what is put is a draft of what was given")


def counts_changes(store: ExperimentStore) -> None:
    first = store.put(_test("a"), who="ann")
    equal(first.version, store.cursor(), "the version of an experiment is the number of its newest change")
    equal((store.put(_test("a"), who="bob"), store.cursor()), (first, first.version), "an equal draft is no change")
    changed = store.put(_test("a", 5), who="bob", expected=first.version)
    require(changed.version == store.cursor() > first.version, "a change raises the version and the cursor")
    for expected in (0, first.version, changed.version + 1):
        raises(Stale, partial(store.put, _test("a", 7), who="ann", expected=expected))


def changes_no_arm_that_runs(store: ExperimentStore) -> None:
    store.put(_test("a"), who="ann")
    store.move("a", "running", who="ann")
    raises(Conflict, partial(store.put, _test("a", 5), who="ann"))
    raises(Conflict, partial(store.delete, "a", who="ann"))
    store.move("a", "stopped", who="ann")
    raises(Conflict, partial(store.put, _test("a", 5), who="ann"))
    raises(Conflict, partial(store.move, "a", "running", who="ann"))
    equal([each.experiment for each in store.list()], [_test("a")], "an experiment that ran was changed")


def goes_from_state_to_state(store: ExperimentStore) -> None:
    store.put(_test("a"), who="ann")
    early: tuple[State, ...] = ("stopped", "finished", "draft")
    for state in early:
        raises(Conflict, partial(store.move, "a", state, who="ann"))
    running = store.move("a", "running", who="ann")
    require(running.state == "running" and running.started > 0 and not running.ended, "it does not say when it began")
    raises(BadRequest, partial(store.move, "a", "finished", who="ann", promoted="nobody"))
    stopped = store.move("a", "stopped", who="guard", why="slower")
    require(stopped.why == "slower" and stopped.ended >= stopped.started > 0, "it does not say why and when it ended")
    over = store.move("a", "finished", who="ann", promoted="mixed")
    equal((over.promoted, over.ended), ("mixed", stopped.ended), "what was promoted, or when it ended, is lost")
    raises(BadRequest, partial(store.move, "none", "running", who="ann"))


def gives_no_bucket_to_two(store: ExperimentStore) -> None:
    for each in (_test("a", 0, 5_000), _test("b", 4_999), _test("c", 5_000), _test("d", layer="prices")):
        store.put(each, who="ann")
    store.move("a", "running", who="ann")
    raises(BadRequest, partial(store.move, "b", "running", who="ann"))
    store.move("c", "running", who="ann")
    store.move("d", "running", who="ann")
    for name in ("a", "c"):
        store.move(name, "finished", who="ann")
    store.move("b", "running", who="ann")


def tells_who_changed_what(store: ExperimentStore) -> None:
    store.put(_test("a"), who="ann")
    store.put(_test("a", 5), who="bob")
    store.move("a", "running", who="cli", why="因为")
    store.put(_test("gone"), who="ann")
    require(store.delete("gone", who="bob") and not store.delete("gone", who="bob"), "delete tells what was there")
    trail = list(reversed(store.history(experiment="a")))
    equal([(line.who, line.what) for line in trail], [("ann", "create"), ("bob", "change"), ("cli", "start")], "trail")
    equal([line.before for line in trail], [None, trail[0].after, trail[1].after], "lines do not follow each other")
    equal(trail[-1].why, "因为", "the trail does not say why")
    lines = store.history()
    equal([line.id for line in lines], [5, 4, 3, 2, 1], "the trail is not numbered, newest first")
    require(lines[0].what == "delete" and lines[0].after is None and lines[0].before is not None, "a deletion is lost")
    equal([line.id for line in store.history(limit=2, before=4)], [3, 2], "history cannot be paged")


def starts_one_of_many_at_once(store: ExperimentStore) -> None:
    """Whoever presses first: experiments that share buckets never run together."""
    for number in range(8):
        store.put(_test(f"t{number}"), who="ann")

    def start(number: int) -> bool:
        try:
            store.move(f"t{number}", "running", who=f"{number}")
        except BadRequest:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        equal(sum(threads.map(start, range(8))), 1, "experiments that share buckets run together")


EXPERIMENT_CHECKS: tuple[Callable[[ExperimentStore], None], ...] = (
    keeps_experiments_by_id,
    counts_changes,
    changes_no_arm_that_runs,
    goes_from_state_to_state,
    gives_no_bucket_to_two,
    tells_who_changed_what,
    starts_one_of_many_at_once,
)
