"""Who sees which arm, what an arm changes, what is kept of it, and what a reading makes of that. On a small shop."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

import bodega
from bodega import Event, EventType, Request, Shop
from bodega.engine.experiments.guard import Guard
from bodega.errors import BadRequest, Conflict
from bodega.evaluation.experiments import assigned
from bodega.schema import Diversity
from bodega.schema.experiments import Arm, Experiment, Guardrail
from bodega.settings import load
from bodega.testing.world import WorldSpec, make_world

WHO = "ann"


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory, quick: Callable[[Path], Path]) -> Path:
    folder = quick(tmp_path_factory.mktemp("experiments") / "shop")
    world = make_world(WorldSpec(n_items=80, n_shoppers=30, days=30))
    with bodega.open(folder) as shop:
        shop.catalog.upsert(world.items)
        shop.events.record(world.events)
        assert shop.learn().published
    return folder


@pytest.fixture
def shop(learned: Path, tmp_path: Path) -> Iterator[Shop]:
    shutil.copytree(learned, tmp_path / "shop")
    with bodega.open(tmp_path / "shop") as opened:
        yield opened


def ab(name: str = "t", **changes: object) -> Experiment:
    arms = (Arm(name="control"), Arm(name="everybody", settings={"dials.personal": False}))
    return msgspec.structs.replace(Experiment(id=name, arms=arms), **changes)


def start(shop: Shop, experiment: Experiment) -> None:
    shop.experiments.put(experiment, who=WHO)
    shop.experiments.start(experiment.id, who=WHO)


def home(shop: Shop, user: str = "", session: str = "", **changes: object) -> bodega.Page:
    return shop.answer(msgspec.structs.replace(Request(place="home", user=user, session=session, k=8), **changes))


def lines(shop: Shop) -> list[bodega.schema.answers.Answered]:
    assert shop.answering.flush()
    return list(shop.stores.answers.scan())


def did(kind: str, page: bodega.Page, item: str, *, user: str = "", session: str = "", price: float = 1.0) -> Event:
    return Event(
        type=EventType(kind),
        time=datetime.now(UTC),
        user=user,
        session=session,
        item=item,
        request_id=page.request_id,
        price=price,
    )


def test_arms_are_half_and_half_kept_in_the_log_and_told_to_nobody(shop):
    start(shop, ab())
    pages = {f"n{n}": home(shop, f"n{n}") for n in range(160)}
    kept = {line.user: line.arms for line in lines(shop)}
    arms = [kept[user]["t"] for user in pages]
    assert 55 < arms.count("everybody") < 105
    assert "everybody" not in str(msgspec.json.encode(pages["n1"]))
    assert all(home(shop, f"n{n}").hits for n in range(3))
    assert {line.arms["t"] for line in lines(shop) if line.user == "n1"} == {kept["n1"]["t"]}, "always the same arm"


def test_an_arm_without_personalisation_shows_everybody_the_same_and_the_control_what_it_always_showed(shop):
    people = sorted({user for rows in shop.stores.events.scan() for user in rows.user if user})[:24]
    before = {user: home(shop, user).ids for user in people}
    nobody = home(shop).ids
    start(shop, ab())
    after = {user: home(shop, user).ids for user in people}
    arm = {line.user: line.arms["t"] for line in lines(shop) if line.arms}
    assert {arm[user] for user in people} == {"control", "everybody"}
    for user in people:
        assert after[user] == (before[user] if arm[user] == "control" else nobody)


def test_who_takes_no_part(shop):
    start(shop, ab(places=("home",)))
    home(shop)
    home(shop, "u1", personal=False)
    shop.search("a", user="u1")
    assert [line.arms for line in lines(shop)] == [{}, {}, {}]
    home(shop, "u1")
    assert lines(shop)[-1].arms


def test_a_guest_keeps_the_arm_after_signing_in(shop):
    start(shop, ab())
    seen = {}
    for n in range(40):
        home(shop, session=f"v{n}")
    for line in lines(shop):
        seen[line.session] = line.arms["t"]
    for n in range(40):
        home(shop, f"fresh{n}", session=f"v{n}")
    kept = {line.user: line.arms["t"] for line in lines(shop) if line.user}
    assert [kept[f"fresh{n}"] for n in range(40)] == [seen[f"v{n}"] for n in range(40)]
    later = [home(shop, f"fresh{n}", session="another visit").request_id for n in range(40)]
    found = {line.request_id: line.arms["t"] for line in lines(shop)}
    assert [found[request] for request in later] == [seen[f"v{n}"] for n in range(40)], "on every later visit, too"
    alone = [assigned(ab(), f"u:fresh{n}") for n in range(40)]
    differs = [n for n, arm in enumerate(alone) if arm is not None and arm.name != seen[f"v{n}"]]
    assert len(differs) > 5, "without the visit these would have changed their arm"


def test_another_process_reads_from_the_log_who_was_exposed(shop, tmp_path):
    start(shop, ab())
    for n in range(20):
        home(shop, session=f"v{n}")
    seen = {line.session: line.arms["t"] for line in lines(shop)}
    with bodega.open(tmp_path / "shop") as other:
        for n in range(20):
            home(other, f"fresh{n}", session=f"v{n}")
        kept = {line.user: line.arms["t"] for line in lines(other) if line.user}
    assert [kept[f"fresh{n}"] for n in range(20)] == [seen[f"v{n}"] for n in range(20)]


def test_what_nobody_agreed_to_is_not_tried_on_them(shop):
    from bodega.events.consent import Word

    start(shop, ab())
    moment = datetime.now(UTC).timestamp()
    shop.privacy.say([Word(subject="user:no", purpose="learning", granted=False, time=moment, source="test")])
    home(shop, "no")
    home(shop, "yes")
    assert [bool(line.arms) for line in lines(shop)] == [False, True]


def test_layers_are_independent_and_share_no_dial(shop):
    shop.experiments.put(ab("a", last=5_000), who=WHO)
    shop.experiments.put(ab("b", layer="other"), who=WHO)
    mixing = (Arm(name="control"), Arm(name="mixed", settings={"diversity.home.strength": 0.6}))
    shop.experiments.put(ab("c", layer="other", arms=mixing), who=WHO)
    shop.experiments.start("a", who=WHO)
    with pytest.raises(Conflict, match="another layer"):
        shop.experiments.start("b", who=WHO)
    shop.experiments.start("c", who=WHO)
    for n in range(200):
        home(shop, f"n{n}")
    both = [line.arms for line in lines(shop)]
    assert all("c" in arms for arms in both)
    assert 70 < sum("a" in arms for arms in both) < 130
    cells = [(arms["a"], arms["c"]) for arms in both if "a" in arms]
    assert min(cells.count(cell) for cell in {*cells}) > 10


@pytest.mark.parametrize(
    "settings",
    [
        {"diversity.home.strenght": 0.2},
        {"diversity.home.strength": 2.0},
        {"diversity.nowhere.strength": 0.2},
        {"dials.weights.no_such": 2.0},
        {"privacy.stitch": False},
        {"dials.rules": "yes"},
    ],
)
def test_a_slip_of_the_pen_never_reaches_a_shopper(shop, settings):
    arms = (Arm(name="control"), Arm(name="b", settings=settings))
    with pytest.raises(BadRequest):
        shop.experiments.put(Experiment(id="t", arms=arms), who=WHO)
    assert shop.experiments.list() == []


def test_a_metric_that_nobody_measures_and_a_guard_the_wrong_way_round_are_refused(shop):
    with pytest.raises(BadRequest, match="metric"):
        shop.experiments.put(ab(metric="happiness"), who=WHO)
    with pytest.raises(BadRequest, match="wrong side"):
        shop.experiments.put(ab(guardrails=(Guardrail(metric="latency"),)), who=WHO)


def test_every_dial_that_is_offered_can_be_turned(shop):
    offered = shop.experiments.dials()
    assert {"dials.rules", "diversity.home.strength", "explore.home.policy"} <= {dial.name for dial in offered}
    arms = (
        Arm(name="control"),
        *(Arm(name=f"a{n}", settings={dial.name: dial.value}) for n, dial in enumerate(offered[:9])),
    )
    assert shop.experiments.put(Experiment(id="t", arms=arms), who=WHO).state == "draft"


def test_one_list_of_two_is_drafted_credited_and_read(shop):
    arms = (Arm(name="control"), Arm(name="everybody", settings={"dials.personal": False}))
    start(shop, Experiment(id="t", arms=arms, kind="interleaving"))
    people = sorted({user for rows in shop.stores.events.scan() for user in rows.user if user})[:24]
    before = {user: {*home(shop, user, personal=False).ids} for user in people}
    rng = np.random.default_rng(7)
    for _ in range(6):
        for user in people:
            page = home(shop, user)
            assert len({*page.ids}) == len(page.ids) == 8
            assert [hit.position for hit in page] == [*range(8)] or [hit.position for hit in page] == [*range(1, 9)]
            wanted = [item for item in page.ids if item in before[user]]
            if wanted and rng.random() < 0.7:
                shop.events.record([did("click", page, wanted[0], user=user)])
    drafted = [line for line in lines(shop) if line.teams]
    assert len(drafted) == 144
    assert all(len(line.teams) == len(line.credit) == len(line.items) for line in drafted)
    assert 0.35 < np.mean([team for line in drafted for team in line.teams]) < 0.65
    found = shop.experiments.read("t")
    assert found.preferred is not None
    assert found.preferred.pages == 144
    assert found.preferred.debiased.difference > 0, "clicks went to what the second arm shows"


def test_the_next_page_of_a_drafted_list_repeats_nothing(shop):
    arms = (Arm(name="control"), Arm(name="everybody", settings={"dials.personal": False}))
    start(shop, Experiment(id="t", arms=arms, kind="interleaving"))
    first, second = home(shop, "u1"), home(shop, "u1", offset=8)
    assert not {*first.ids} & {*second.ids}
    assert home(shop, "u1", k=16).ids == first.ids + second.ids


def test_a_stopped_experiment_serves_the_control_in_every_process_within_seconds(shop, tmp_path):
    start(shop, ab())
    with bodega.open(tmp_path / "shop") as other:
        home(other, "u1")
        assert lines(other)[-1].arms
        shop.experiments.stop("t", who=WHO, why="enough")
        home(shop, "u2")
        assert not lines(shop)[-1].arms
        deadline = time.monotonic() + 10
        while other.experiments.running and time.monotonic() < deadline:
            time.sleep(0.05)
        home(other, "u3")
        assert not next(line for line in lines(other) if line.user == "u3").arms


def test_a_promoted_arm_becomes_the_shop(shop, tmp_path):
    settings = {"diversity.home.strength": 0.5, "dials.weights.popular": 2.0, "dials.off.repeat": True}
    start(shop, ab(arms=(Arm(name="control"), Arm(name="mixed", settings=settings))))
    (tmp_path / "shop" / "bodega.toml").write_text(
        (tmp_path / "shop" / "bodega.toml").read_text() + "\n# mine\n", "utf-8"
    )
    before = home(shop, "u1").ids
    shop.experiments.finish("t", who=WHO, promoted="mixed")
    assert shop.settings.diversity.home == Diversity(strength=0.5)
    kept = load(tmp_path / "shop", {})
    assert (kept.diversity.home.strength, kept.dials.weights, kept.dials.off) == (0.5, {"popular": 2.0}, ("repeat",))
    assert "# mine" in (tmp_path / "shop" / "bodega.toml").read_text()
    after = home(shop, "u1").ids
    assert after
    assert after != before
    with bodega.open(tmp_path / "shop") as again:
        assert home(again, "u1").ids == after, "the next start answers the same"


def test_an_arm_may_answer_from_another_snapshot(shop):
    old = shop.published()
    shop.events.record([did("purchase", home(shop, "x"), home(shop).ids[-1], user=f"w{n}") for n in range(50)])
    assert shop.learn().published
    new = shop.published()
    assert new != old
    start(shop, ab(arms=(Arm(name="control"), Arm(name="before", snapshot=old))))
    deadline = time.monotonic() + 30
    while not shop.experiments.running and time.monotonic() < deadline:
        time.sleep(0.02)
    pages = [home(shop, f"n{n}") for n in range(20)]
    arm = {line.request_id: line.arms["t"] for line in lines(shop) if line.arms}
    assert {(arm[page.request_id], page.snapshot) for page in pages} == {("control", new), ("before", old)}
    shop.experiments.finish("t", who=WHO, promoted="before")
    assert shop.published() == old
    assert home(shop, "n1").snapshot == old


def test_an_arm_of_the_current_snapshot_stays_with_it_when_another_is_published(shop):
    old = shop.published()
    start(shop, ab(arms=(Arm(name="control"), Arm(name="then", snapshot=old))))
    home(shop, "u1")
    shop.events.record([did("purchase", home(shop, "x"), home(shop).ids[-1], user=f"w{n}") for n in range(50)])
    assert shop.learn().published
    deadline = time.monotonic() + 30
    while not shop.experiments.running and time.monotonic() < deadline:
        time.sleep(0.02)
    pages = [home(shop, f"n{n}") for n in range(20)]
    arm = {line.request_id: line.arms["t"] for line in lines(shop) if line.arms}
    told = {(arm[page.request_id], page.snapshot) for page in pages}
    assert told == {("control", shop.published()), ("then", old)}


def test_a_guard_stops_lists_at_random_and_lets_a_test_of_nothing_run(shop):
    """Shoppers want what the shop shows them now; an arm shows them anything else instead."""
    guards = (Guardrail(metric="clicks", harm=0.1),)
    wild = {"policy": "epsilon", "share": 1.0, "loss": 1.0, "first": 1, "among": 16, "within": 1.0, "floor": 1.0}
    settings = {f"explore.home.{key}": value for key, value in wild.items()}
    start(shop, ab("nothing", layer="l1", arms=(Arm(name="a"), Arm(name="b")), metric="clicks", guardrails=guards))
    arms = (Arm(name="control"), Arm(name="wild", settings=settings))
    start(shop, ab("wild", layer="l2", arms=arms, metric="clicks", guardrails=guards))
    wanted = {*home(shop, k=8).ids}
    clicks = []
    for n in range(260):
        page = home(shop, f"n{n}")
        clicks += [did("click", page, item, user=f"n{n}") for item in page.ids if item in wanted]
    shop.events.record(clicks)
    assert shop.answering.flush()
    assert Guard(shop.experiments, shop.folder, shop.settings).look() == ["wild"]
    assert "arm wild does harm: clicks" in shop.experiments.get("wild").why
    assert {*home(shop, "somebody").ids} == wanted, "the control serves everybody"


def test_costs_next_to_nothing_where_nothing_runs_and_little_where_three_do(shop):
    request = Request(place="home", user="u1", k=8)

    def cost() -> float:
        best = np.inf
        for _ in range(5):
            began = time.thread_time()
            for _ in range(2_000):
                shop.experiments.taken(request, request)
            best = min(best, (time.thread_time() - began) / 2_000)
        return best

    alone = cost()
    for n in range(3):
        start(shop, ab(f"t{n}", layer=f"l{n}", arms=(Arm(name="a"), Arm(name="b"))))
    three = cost()
    page = min(_timed(lambda: home(shop, "u1")) for _ in range(5))
    assert alone < page / 500
    assert three < page / 50


def _timed(call: Callable[[], object]) -> float:
    began = time.thread_time()
    call()
    return time.thread_time() - began


def test_a_guard_stops_an_arm_that_is_never_shown_and_lets_a_test_of_nothing_run(shop):
    start(shop, ab("harmless", layer="l1", arms=(Arm(name="a"), Arm(name="b"))))
    start(shop, ab("lossy", layer="l2", arms=(Arm(name="a"), Arm(name="b"))))
    for n in range(400):
        home(shop, f"n{n}", k=2)
    assert shop.answering.flush()
    dropped = [line for line in shop.stores.answers.scan() if line.arms.get("lossy") == "b"][5:]
    shop.stores.answers.forget(users=[line.user for line in dropped])
    guard = Guard(shop.experiments, shop.folder, shop.settings)
    assert guard.look() == ["lossy"]
    line = shop.experiments.history(limit=1)[0]
    assert (line.who, line.what, line.experiment) == ("guard", "stop", "lossy")
    assert "not as large as planned" in line.why
    assert [each.id for each in shop.experiments.running] == ["harmless"]
