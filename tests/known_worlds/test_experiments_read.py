"""Shoppers who are known to click more, wait longer, or find nothing: does the reading say so, and only so?"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from bodega.engine.experiments.guard import reason
from bodega.engine.experiments.reading import tried
from bodega.evaluation.experiments import assigned
from bodega.insight.trying import Log, course, gathered, readings
from bodega.insight.trying_plan import baseline, planned
from bodega.schema.answers import Answered
from bodega.schema.experiments import Arm, Doing, Experiment, Guardrail, KeptExperiment

BEGAN = 1_800_000_000.0
DAY = 86_400.0
GUARDS = (
    Guardrail(metric="clicks", harm=0.1),
    Guardrail(metric="zero_results", harm=0.5, higher_is_better=False),
    Guardrail(metric="latency", harm=0.5, higher_is_better=False),
)


def kept(**changes: object) -> KeptExperiment:
    made = Experiment(id="t", arms=(Arm(name="control"), Arm(name="new")), metric="clicks", guardrails=GUARDS)
    return KeptExperiment(
        experiment=msgspec.structs.replace(made, **changes), state="running", started=BEGAN, ended=BEGAN + 4 * DAY
    )


class World:
    """Shoppers who come on some of four days, see a page each time and click by their own habit; 28 days before, too.

    `clicks`, `slower`, `empty`: what the new arm does: factor on clicks, on milliseconds, share of searches that find
    nothing.
    """

    def __init__(self, test: KeptExperiment, rng: np.random.Generator, n: int, *, clicks=1.0, slower=1.0, empty=0.02):
        self.answers: list[Answered] = []
        self.events: list[Doing] = []
        habit = rng.gamma(1.0, 0.5, n)
        for shopper in range(n):
            arm = assigned(test.experiment, f"u:{shopper}")
            assert arm is not None
            new = arm.name == "new"
            for day in range(-5, 0):
                for _ in range(rng.poisson(habit[shopper])):
                    self._did(BEGAN + day * DAY + rng.random() * DAY, "click", f"{shopper}")
            for visit in range(1 + rng.poisson(1.0)):
                time = BEGAN + rng.random() * 4 * DAY
                nothing = rng.random() < (empty if new else 0.02)
                self.answers.append(
                    Answered(
                        request_id=f"{shopper}-{visit}",
                        time=time,
                        place="search",
                        user=f"{shopper}",
                        query="tea",
                        items=() if nothing else ("p1", "p2"),
                        arms={test.id: arm.name},
                        milliseconds=float(rng.gamma(4.0, 2.0) * (slower if new else 1.0)),
                    )
                )
                for _ in range(0 if nothing else rng.poisson(habit[shopper] * (clicks if new else 1.0))):
                    self._did(time + 5.0, "click", f"{shopper}")

    def _did(self, time: float, kind: str, user: str) -> None:
        self.events.append(Doing(time, kind, user, "", "p1", "", 0.0, "web"))

    @property
    def log(self) -> Log:
        self.answers.sort(key=lambda each: each.time)
        self.events.sort(key=lambda each: each.time)
        return Log(lambda since: _since(self.answers, since), lambda since: _since(self.events, since))


def _since(rows: Sequence, since: float) -> list:
    return [row for row in rows if row.time >= since]


def test_more_clicks_are_found_and_the_past_makes_it_sooner(rng):
    test = kept()
    found = tried(test, World(test, rng, 2_500, clicks=1.5).log, 28.0)
    (arm,) = found.arms
    assert (found.verdict, found.best, arm.state) == ("better", "new", "better")
    assert arm.effect.low is not None
    assert arm.effect.low > 0
    assert arm.effect.lift is not None
    assert 0.25 < arm.effect.lift < 0.75
    assert found.explained > 0.1, "who clicked much before clicks much now"
    assert sum(found.units) == 2_500
    assert found.ratio_p > 0.001
    assert found.course[-1].units == 2_500
    assert found.course[0].units < found.course[-1].units
    assert {each.segment for each in found.segments if each.by == "known"} <= {"new", "returning"}


@pytest.mark.parametrize(
    ("harm", "metric"),
    [({"empty": 0.6}, "zero_results"), ({"slower": 3.0}, "latency"), ({"clicks": 0.3}, "clicks")],
    ids=["lists that are empty", "lists that are slow", "lists at random"],
)
def test_a_broken_arm_is_stopped_and_the_trail_can_say_why(rng, harm, metric):
    test = kept()
    found = tried(test, World(test, rng, 2_500, **harm).log, 28.0, brief=True)
    assert found.verdict == "harm"
    assert metric in found.arms[0].harmed
    assert metric in reason(found)


def test_a_test_of_nothing_is_stopped_in_at_most_one_of_twenty_though_it_is_looked_at_100_times(rng):
    test = kept()
    stopped = 0
    for _ in range(20):
        seen = gathered(test, World(test, rng, 400).log, 28.0)
        times = np.linspace(BEGAN, BEGAN + 4 * DAY, 101)[1:]
        stopped += any(each.effects[0].sure for each in course(test, seen, "clicks", times.tolist()))
    assert stopped <= 2, "20 runs: 3 or more would have a chance of 1 in 13 at 5 %, of 1 in 1,000 at the measured 2 %"


def test_arms_that_lose_shoppers_are_believed_in_nothing(rng):
    test = kept()
    world = World(test, rng, 2_000, clicks=2.0)
    lost = [each for each in world.answers if not (each.arms["t"] == "new" and int(each.user) % 5 == 0)]
    world.answers = lost
    found = tried(test, world.log, 28.0, brief=True)
    assert found.verdict == "mismatch"
    assert found.warnings
    assert "not as large as planned" in reason(found)


def test_a_guest_who_signs_in_is_one_shopper_with_the_arm_seen_first():
    test = kept()
    answers = [
        Answered(request_id="1", time=BEGAN + 1, place="home", session="s", arms={"t": "new"}),
        Answered(request_id="2", time=BEGAN + 9, place="home", user="u", session="s", arms={"t": "control"}),
    ]
    events = [
        Doing(BEGAN + 0.5, "click", "", "s", "p", "", 0.0, "web"),
        Doing(BEGAN + 2, "click", "", "s", "p", "", 0.0, "web"),
        Doing(BEGAN + 5, "view", "u", "s", "p", "", 0.0, "web"),
        Doing(BEGAN + 10, "purchase", "u", "", "p", "", 12.5, "app"),
    ]
    log = Log(lambda since: _since(answers, since), lambda since: _since(events, since))
    seen = gathered(test, log, 28.0)
    assert (seen.units, seen.arm.tolist(), seen.crossed) == (["u:u"], [1], 1)
    values = readings(test, seen).values
    assert {name: values[name][0] for name in ("clicks", "purchases", "revenue", "pages", "days")} == {
        "clicks": 2.0,
        "purchases": 1.0,
        "revenue": 12.5,
        "pages": 2.0,
        "days": 1.0,
    }


def test_a_switchback_is_read_by_blocks(rng):
    test = kept(by="time", block_minutes=60, guardrails=())
    answers, events = [], []
    for block in range(96):
        arm = assigned(test.experiment, "u:1", BEGAN + block * 3_600.0)
        assert arm is not None
        for shopper in range(6):
            time = BEGAN + block * 3_600.0 + 600.0 * shopper
            answers.append(
                Answered(
                    request_id=f"{block}-{shopper}", time=time, place="home", user=f"{shopper}", arms={"t": arm.name}
                )
            )
            for _ in range(rng.poisson(2.0 if arm.name == "new" else 1.0)):
                events.append(Doing(time + 1.0, "click", f"{shopper}", "", "p", "", 0.0, "web"))
    log = Log(lambda since: _since(answers, since), lambda since: _since(events, since))
    found = tried(test, log, 28.0)
    assert (found.verdict, found.best) == ("better", "new")
    assert sum(found.units) == 96
    assert abs(found.arms[0].effect.difference - 1.0) < 0.3


def test_a_plan_knows_the_traffic_and_finds_what_it_promises(rng):
    test = kept()
    world = World(test, rng, 1_200)
    base = baseline(world.log, "clicks", BEGAN + 4 * DAY, days=9)
    assert base.units == len({each.user for each in world.events})
    few, many = planned(base, lifts=(0.2, 0.02))
    assert 0 < few.once < few.watched < many.watched
    assert few.once_days < few.watched_days < many.watched_days
    halved = planned(base, lifts=(0.2,), share=0.5)[0]
    assert halved.once == few.once
    assert halved.once_days > few.once_days
    assert planned(baseline(Log(lambda _: [], lambda _: []), "clicks", BEGAN))[0].once == 0
