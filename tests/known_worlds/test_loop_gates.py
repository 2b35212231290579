"""The gates and the loop where the right answer is known: a fair candidate passes, shuffled labels and attacks fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

import bodega
from bodega.bench._loop_tastes import Change, Tastes
from bodega.bench._loop_world import Bazaar, Shuffled
from bodega.bench.loop import SETTINGS, LoopOptions, plotted, run
from bodega.engine.learn import LearnReport
from bodega.engine.loop.attack import accounts_behind, suspicious
from bodega.engine.loop.contest import verdict
from bodega.engine.loop.door import Loop, LoopDoors
from bodega.engine.loop.gate import quality
from bodega.engine.loop.state import AuditLine, ContestReading, LoopBook
from bodega.engine.shop import Shop
from bodega.errors import Conflict, LimitError
from bodega.evaluation.experiments import Effect
from bodega.schema import EVENT_CODES, Log
from bodega.settings import Loop as Dials
from bodega.testing.fakes import event_rows
from bodega.testing.world import WorldSpec, make_world

DAY = 86_400.0


# -- single gates -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shift", "n", "state"), [(0.0, 400, "pass"), (-0.2, 400, "fail"), (0.1, 400, "pass"), (0.0, 20, "open")]
)
def test_quality_is_not_worse_surely_worse_or_unknown(shift, n, state):
    rng = np.random.default_rng(1)
    served = rng.random(n)
    values = {"home": {"served": served, "candidate": served + shift + 0.01 * rng.standard_normal(n)}}
    assert quality(values, 0.05, rng).state == state


def test_one_list_that_is_surely_worse_ends_it_though_the_whole_is_better():
    rng = np.random.default_rng(1)
    values = {
        "home": {"served": np.full(900, 0.4), "candidate": np.full(900, 0.6)},
        "search": {"served": np.full(100, 0.5), "candidate": np.full(100, 0.2)},
    }
    line = quality(values, 0.05, rng)
    assert line.value > 0
    assert (line.state, "search" in line.text) == ("fail", True)


def supporters(people: int, events: int, *, new: bool) -> Log:
    """200 old shoppers who want items 0 to 9 evenly, one in ten of them new; item 9 is pushed by `people` more."""
    rows = [(n % 40 - 50.0, n % 200 if n % 10 else 300 + n, n % 9) for n in range(4_000)]
    rows += [(5.0 + n / 1e4, n % 200 if n % 10 else 300 + n, n % 9) for n in range(4_000)]
    first = 10_000 if new else 0
    rows += [(6.0, first + person, 9) for person in range(people) for _ in range(events)]
    rows += [(7.0, person, item) for person in range(people if not new and events == 1 else 0) for item in (1, 2)]
    rows.sort()
    time, user, item = (np.array(column) for column in zip(*rows, strict=True))
    n = len(rows)
    return Log(
        time=time, type=np.full(n, EVENT_CODES["click"], np.int8), user=user.astype(np.int32),
        session=user.astype(np.int32), item=item.astype(np.int32), quantity=np.ones(n, np.float32),
        value=np.full(n, np.nan, np.float32), query=np.full(n, -1, np.int32), position=np.full(n, -1, np.int32),
        n_users=20_000, n_sessions=20_000,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("people", "events", "new", "caught"),
    [(40, 3, True, True), (3, 40, False, True), (120, 1, False, False)],
    ids=["new hands", "few hands", "many old shoppers want it"],
)
def test_an_item_that_climbs_is_suspected_by_who_pushed_it(people, events, new, caught):
    won = np.zeros(10)
    won[[3, 9]] = 0.05
    found = suspicious(supporters(people, events, new=new), won, since=0.0)
    assert (9 in found.items) is caught
    assert 3 not in found.items, "what the shop's usual shoppers want is no attack"
    assert found.moved == pytest.approx(0.05 if caught else 0.0)
    assert not len(suspicious(supporters(people, events, new=new), np.zeros(10), since=0.0).items), "it moved nothing"


def test_accounts_behind_an_attack_are_new_and_of_one_mind():
    from datetime import UTC, datetime

    from bodega.schema import Event, EventType

    def wants(user: str, item: str, second: int) -> Event:
        return Event(type=EventType.CLICK, user=user, item=item, time=datetime.fromtimestamp(second, UTC))

    events = [wants("old", "x", 5), wants("fake", "x", 20), wants("fake", "lure", 21), wants("fake", "x", 22)]
    events += [wants("new", "a", 23), wants("new", "b", 24), wants("new", "x", 25), wants("old", "x", 26)]
    rows = event_rows(sorted(events, key=lambda event: event.time))
    assert accounts_behind([rows], frozenset({"x"}), 10.0) == ("fake",)


@pytest.mark.parametrize(
    ("effect", "pages", "state"),
    [
        ((0.1, 0.02, 0.2), 300, "better"),
        ((-0.1, -0.2, -0.02), 300, "worse"),
        ((0.0, -0.001, 0.001), 2_000, "harmless"),
        ((0.0, -0.1, 0.1), 2_000, "open"),
        ((0.0, -np.inf, np.inf), 3, "open"),
    ],
)
def test_the_contest_is_better_worse_harmless_or_open(effect, pages, state):
    reading = verdict(pages, pages // 2, Effect(*effect, 0.0, pages), Dials())
    assert reading.state == state
    assert msgspec.json.decode(msgspec.json.encode(reading), type=ContestReading) == reading


def test_the_trail_survives_a_line_that_was_cut_short(tmp_path: Path):
    book = LoopBook(tmp_path)
    book.note(AuditLine(time=1.0, run=1, step="judge"))
    with (book.folder / "audit.jsonl").open("ab") as file:
        file.write(b'{"time": 2.0, "run": 1, "st')
    assert [line.step for line in book.trail()] == ["judge"]
    (book.folder / "state.json").write_bytes(b"\xff{")
    assert book.state().step == "idle"
    with book.alone(), pytest.raises(LimitError, match="at work already"), book.alone():
        pass


# -- the world that changes ---------------------------------------------------------------------------------------


def test_tastes_turn_goods_arrive_and_a_quiet_world_stands_still():
    world = make_world(WorldSpec(n_items=60, n_shoppers=50, days=3))
    still, moving = Tastes(world, Change(), 10, 1), Tastes(world, Change(turn=0.8, late=0.5), 10, 1)
    assert still.liking(9) == pytest.approx(still.liking(0))
    assert still.start()[0] == world.items
    assert not any(still.arrivals(day) for day in range(11))
    first, last = moving.liking(0), moving.liking(10)
    assert first == pytest.approx(still.liking(0))
    likeness = np.corrcoef((first - first.mean(axis=0)).ravel(), (last - last.mean(axis=0)).ravel())[0, 1]
    assert 0.4 < likeness < 0.9, "a turn of 0.8: about cos(0.8) = 0.7 of what people want is what they wanted"
    assert last.std() == pytest.approx(first.std(), rel=0.15), "people differ as much as before"
    came = [item.id for day in range(11) for item in moving.arrivals(day)]
    items, events = moving.start()
    assert sorted(came + [item.id for item in items]) == sorted(item.id for item in world.items)
    assert len(came) == 30
    assert not {event.item for event in events} & set(came), "nobody has seen what has not arrived"
    assert moving.for_sale(0).sum() < moving.for_sale(10).sum()


# -- the whole loop, on one small shop ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Shop, Bazaar]]:
    """A shop that learned ten days and lived six more; a copy for every test."""
    import shutil

    folder = tmp_path_factory.mktemp("loop")
    world = make_world(WorldSpec(n_items=70, n_shoppers=70, days=10))
    (folder / "a").mkdir()
    # without `appeal`, which looks at what was shown: fake accounts that never saw a list hardly move it
    toml = SETTINGS.replace("margin = 0.1", "margin = 0.2").replace("appeal = true", "appeal = false")
    (folder / "a" / "bodega.toml").write_text(toml, "utf-8")
    with bodega.open(folder / "a") as shop:
        shop.catalog.upsert(world.items)
        shop.events.record(world.events)
        shop.learn()
        bazaar = Bazaar(Tastes(world, Change(), 7, 1), shop, 1, 60)
        for _ in range(6):
            bazaar.live()

    def made(name: str) -> tuple[Shop, Bazaar]:
        shutil.copytree(folder / "a", folder / name)
        shop = bodega.open(folder / name)
        return shop, replace(bazaar, shop=shop)

    return made


def loop_of(shop: Shop, *, approve: str = "human", contest: object = None) -> Loop:
    settings = msgspec.structs.replace(shop.settings, loop=msgspec.structs.replace(shop.settings.loop, approve=approve))
    doors = LoopDoors(
        folder=shop.folder, settings=settings, events=shop.stores.events, workshop=shop.workshop,
        judgments=shop.judgments, promote=shop.promote, contest=contest,  # type: ignore[arg-type]
    )  # fmt: skip
    return Loop(doors)


class Says:
    """A contest that says what it is told to."""

    def __init__(self, *states: str) -> None:
        self.states, self.ended = [*states], list[str]()

    def begin(self, run: int, served: str, candidate: str) -> str:
        return f"c{run}"

    def read(self, name: str, began: float) -> ContestReading:
        return ContestReading(state=self.states.pop(0), text="told")  # type: ignore[arg-type]

    def end(self, name: str, why: str) -> None:
        self.ended.append(name)


def test_a_fair_candidate_waits_for_a_person_and_is_served_when_approved(lived):
    shop, _ = lived("fair")
    with shop:
        before, loop = shop.published(), loop_of(shop, contest=Says("open", "better"))
        state = loop.run()
        assert (state.step, state.gate.state) == ("contest", "pass")
        assert shop.published() == before, "nobody is served from a candidate"
        assert loop.run().step == "contest"
        state = loop.run()
        assert state.step == "approve"
        assert loop.run() == state, "it waits"
        loop.approve("ann")
        assert shop.published() == state.candidate != before
        assert shop.engine.learned.snapshot == state.candidate
        assert [line.step for line in loop.trail(3)] == ["promote", "approved", "approve"]
        with pytest.raises(Conflict, match="no candidate waits"):
            loop.approve("ann")
        assert shop.rollback() == before, "the way back stays"


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_and_a_rejected_candidate_is_gone(lived, monkeypatch):
    shop, _ = lived("killed")
    with shop:
        contest = Says("worse")
        loop = loop_of(shop, contest=contest)

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Loop, "gate", killed)
            with pytest.raises(KeyboardInterrupt):
                loop.run()
        learned = loop.state
        assert learned.step == "gate"
        monkeypatch.setattr(
            type(shop.workshop), "learn", lambda *_, **__: pytest.fail("it learned already"), raising=True
        )
        assert loop_of(shop, contest=contest).run().step == "contest"
        state = loop_of(shop, contest=contest).run()
        assert (state.step, state.outcome) == ("idle", "rejected: contest: told")
        assert contest.ended
        assert learned.candidate not in {path.name for path in (shop.folder / "snapshots").iterdir()}


def test_shuffled_labels_do_not_pass_the_gate(lived):
    shop, _ = lived("shuffled")
    with shop:
        before = shop.published()
        shop.workshop.events = Shuffled(shop.stores.events, np.random.default_rng(5))  # type: ignore[assignment]
        state = loop_of(shop, approve="auto").run()
        assert state.outcome.startswith("rejected")
        assert next(line for line in state.gate.lines if line.gate == "quality").state == "fail"
        assert shop.published() == before
        waits = loop_of(shop, approve="auto").run()
        assert (waits.run, "waits for" in waits.outcome) == (state.run, True), "the same log would say the same again"


@pytest.mark.slow
def test_an_attack_does_not_pass_and_the_next_candidate_learns_without_its_accounts(lived):
    shop, bazaar = lived("attacked")
    with shop:
        before = shop.published()
        bazaar.attack()
        bazaar.live()
        bazaar.live()
        bazaar.live()
        loop = loop_of(shop, approve="auto")
        state = loop.run()
        attack = next(line for line in state.gate.lines if line.gate == "attack")
        assert attack.state == "fail"
        assert attack.value > 0.02
        assert shop.published() == before
        fakes = [name for name in state.without if name.startswith("fake")]
        assert len(fakes) >= 30
        assert len(fakes) >= 0.8 * len(state.without), "hardly any shopper is taken for one of them"
        again = loop.run()
        assert again.run == state.run + 1, "an attack is not waited out"
        after = next(line for line in again.gate.lines if line.gate == "attack")
        assert after.value < 0.5 * attack.value
        assert loop.clear("ann").without == ()


def test_the_bench_prints_every_figure_that_is_quoted(monkeypatch):
    from bodega.bench import loop as bench

    def lived_through(options, opened):
        rng = np.random.default_rng(options.seed)
        base = 1.0 + 0.01 * rng.random(14)
        utility = {"frozen": base, "counting": base, "ungated": base * 1.02, "loop": base * 1.1}
        best = dict.fromkeys(utility, 2 * base)
        return bench.Lived(utility, utility, best, 3, 1, True, True, ("day 1",))

    monkeypatch.setattr(bench, "_lived", lived_through)
    found = run(LoopOptions(seeds=5, weeks=2), bodega.open)
    assert found.figures["loop.utility_gain"] == pytest.approx(0.1)
    assert found.intervals["loop.utility_gain"] == pytest.approx((0.1, 0.1))
    assert found.figures["loop.over_ungated"] == pytest.approx(1.1 / 1.02 - 1)
    assert found.figures["oracle.gain_whole"] == pytest.approx(1.0)
    assert found.figures["gate.shuffled_stopped"] == found.figures["gate.attack_stopped"] == 1.0
    assert plotted(found).splitlines()[1].count("L") >= 1


@pytest.mark.slow
def test_the_whole_loop_runs_unattended_and_improves_what_shoppers_get():
    found = run(LoopOptions(seeds=2, weeks=2, pages=100, workers=2), bodega.open)
    assert found.figures["gate.shuffled_stopped"] == 1.0
    assert found.figures["loop.promoted"] >= 1
    assert found.figures["loop.utility_gain"] > 0
    assert found.figures["oracle.utility_gain"] > found.figures["loop.utility_gain"]


@pytest.mark.slow
def test_a_seed_gives_the_same_bits_twice():
    options = LoopOptions(seeds=1, weeks=1, pages=40)
    once, twice = (run(options, bodega.open) for _ in range(2))
    assert once.figures == twice.figures
    assert once.facts["series"] == twice.facts["series"]
    assert [line.split(":")[1] for line in once.facts["outcomes"][0]] == [
        line.split(":")[1] for line in twice.facts["outcomes"][0]
    ]


@pytest.mark.slow
def test_a_report_of_learning_names_what_judgments_taught(lived):
    from bodega.schema.judgments import Judgment

    shop, _ = lived("taught")
    with shop:
        kinds = sorted(set(bodega_kinds(shop)))
        assert isinstance(shop.learn(), LearnReport)
        items = {item.id: item for item in shop.stores.catalog.scan()}
        said = [
            Judgment(query=kind, item=name, grade=3 if kind in item.title.casefold() else 0, who="ann")
            for kind in kinds
            for name, item in items.items()
        ]
        shop.judgments.take(said)
        report = shop.learn()
        told = report.facts["judged"]
        assert told["queries"] >= 10
        assert any("judg" in note for note in report.notes)
        assert told["used"] == (told["low"] > 0) or told["gain"] == 0


def bodega_kinds(shop: Shop) -> list[str]:
    """Words that items of the shop are called by."""
    return [item.title.casefold().split()[-1] for item in shop.stores.catalog.scan()] + [
        item.category[-1].casefold() for item in shop.stores.catalog.scan() if item.category
    ]
