"""The back office: jobs told from dead ones, a trail that is written first, snapshots that are switched once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from bodega.engine.office.jobs import FOLDER, Job, JobState
from bodega.engine.office.mapping import flattened
from bodega.engine.office.trail import Trail
from bodega.errors import BadRequest, NotLearned, Stale, StoreError
from bodega.schema import Event, EventType, Item
from bodega.testing.canned import CannedShop


class Told(msgspec.Struct):
    """The result of a job."""

    number: int


def test_a_job_keeps_its_result_and_says_how_far_it_is(tmp_path: Path):
    job = Job(tmp_path, "count", Told)
    assert job.state().state == "never"
    assert job.result() is None
    begin, go = threading.Event(), threading.Event()

    def work(progress):
        progress.start("count", 10)
        progress.advance(4)
        progress.finish()
        begin.set()
        assert go.wait(10)
        return Told(7)

    assert job.start(work)
    assert begin.wait(10)
    other = Job(tmp_path, "count", Told)  # as another process sees it
    assert (other.state().state, other.state().task, other.state().done) == ("running", "count", 4.0)
    assert not other.start(work), "one at a time"
    go.set()
    assert job.wait(10).state == "done"
    assert other.result() == Told(7)


def test_a_job_that_fails_keeps_the_result_before_it_and_says_why(tmp_path: Path):
    job = Job(tmp_path, "count", Told)
    assert job.run(lambda _: Told(1)) == Told(1)

    def fails(_):
        raise NotLearned("nothing was learned", next="bodega learn")

    assert job.run(fails) is None
    assert (job.state().state, job.state().error, job.state().next) == ("failed", "nothing was learned", "bodega learn")
    assert job.result() == Told(1)

    def breaks(_):
        raise ZeroDivisionError

    assert job.run(breaks) is None
    assert job.state().error == "ZeroDivisionError"


def test_a_job_whose_process_died_is_told_from_one_that_runs(tmp_path: Path):
    job = Job(tmp_path, "count", Told)
    job.run(lambda _: Told(1))
    (tmp_path / FOLDER / "count.state.json").write_bytes(msgspec.json.encode(JobState(state="running", task="count")))
    assert job.state().state == "lost", "nobody holds the lock"
    assert job.run(lambda _: Told(2)) == Told(2)
    assert job.state().state == "done"


def test_damaged_files_are_no_results(tmp_path: Path):
    job = Job(tmp_path, "count", Told)
    job.run(lambda _: Told(1))
    (tmp_path / FOLDER / "count.json").write_bytes(b'{"number": "\xff')
    (tmp_path / FOLDER / "count.state.json").write_bytes(b"[]")
    assert job.result() is None
    assert job.state().state == "never"


def test_the_trail_is_read_backwards_over_many_blocks_and_broken_lines(tmp_path: Path):
    trail = Trail(tmp_path)
    for number in range(2_000):
        trail._path.parent.mkdir(exist_ok=True)
        with trail._path.open("ab") as file:
            file.write(b'{"time":%d,"who":"me","what":"look","about":"%d"}\n' % (number, number % 7))
    with trail._path.open("ab") as file:
        file.write(b'{"time":')
    assert [line.time for line in trail.read(limit=3)] == [1999.0, 1998.0, 1997.0]
    assert len(trail.read(about="3", limit=10_000)) == len([n for n in range(2_000) if n % 7 == 3])
    assert trail.read(what=("promote",)) == []


def test_where_nothing_can_be_written_nothing_is_shown(tmp_path: Path):
    (tmp_path / FOLDER).write_text("a file in the way")
    with pytest.raises(StoreError):
        Trail(tmp_path).write("me", "look")
    with pytest.raises(StoreError):
        Job(tmp_path, "count", Told).start(lambda _: Told(1))


def shop() -> CannedShop:
    made = CannedShop([Item(id="1", title="Trail shoe", category=("Shoes",), price=10.0)])
    when = datetime(2026, 1, 1, tzinfo=UTC)
    made.stores.events.append([Event(type=EventType.VIEW, time=when, user="ann", item="1", id="e1")])
    return made


def test_a_trail_that_cannot_be_written_shows_nobody(monkeypatch):
    made = shop()

    def full(*_, **__):
        raise StoreError("no room")

    monkeypatch.setattr(made.office.trail, "write", full)
    people = made.office.people
    for look in (lambda: people.state("me", ("user", "ann")), lambda: people.timeline("me", ("user", "ann")),
                 lambda: people.recent("me"), lambda: people.lists("me", ("user", "ann"))):  # fmt: skip
        with pytest.raises(StoreError):
            look()


def test_looks_name_people_by_digests_only():
    made = shop()
    made.office.people.state("boss", ("user", "ann"))
    made.office.people.timeline("boss", ("user", "ann"))
    made.office.people.state("boss", ("user", "bob"))
    told = made.office.people.looks(("user", "ann"))
    assert [(one.who, one.what, one.detail) for one in told] == [
        ("boss", "look", "timeline"),
        ("boss", "look", "state"),
    ]
    assert len(made.office.people.looks()) == 3
    assert "ann" not in made.office.trail._path.read_text("utf-8")


def test_what_is_known_of_a_shopper():
    made = shop()
    known = made.office.people.state("boss", ("user", "ann"))
    assert known.known
    assert [(one.name, one.share) for one in known.now] == [("Shoes", 1.0)]
    assert known.counts == {"view": 1}
    assert known.prices is not None
    assert known.prices.middle == 10.0
    assert not made.office.people.state("boss", ("user", "nobody")).known
    assert [one.title for one in made.office.people.timeline("boss", ("user", "ann")).events] == ["Trail shoe"]
    assert [one.id for one in made.office.people.recent("boss")] == ["ann"]
    with pytest.raises(BadRequest):
        made.office.people.lists("boss", ("user", "ann"), place="search")


def test_a_switch_that_was_decided_on_another_snapshot_does_nothing(monkeypatch):
    made = shop()
    switched = []
    monkeypatch.setattr(made, "rollback", switched.append)
    with pytest.raises(Stale):
        made.office.models.switch("canned", seen="older", who="boss")
    assert switched == []
    assert made.office.models.trail() == []
    made.office.models.switch("canned", seen="canned", who="boss")
    assert switched == ["canned"]
    assert [(one.who, one.what) for one in made.office.models.trail()] == [("boss", "promote")]


def test_a_map_shows_the_two_directions_that_differ_most():
    import numpy as np

    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(200, 8)) * np.array([9.0, 4.0, 1, 1, 1, 1, 1, 1])
    places, shown = flattened(vectors)
    variances = vectors.var(axis=0)
    assert shown == pytest.approx(variances[:2].sum() / variances.sum(), abs=0.05)
    assert np.abs(places).max() == pytest.approx(1.0)
    again, _ = flattened(vectors.copy())
    assert (places == again).all()
    assert flattened(vectors[:1])[1] == 0.0


def test_the_clinic_looks_at_everything_once(tmp_path: Path):
    made = shop()
    found = made.office.clinic.run(10)
    assert found is not None
    assert (found.n_items, found.looked_up, found.twin_groups) == (1, 0, {"title": 0, "picture": 0})
    assert [one.id for one in made.office.clinic.offenders("picture").items] == ["1"]
    assert made.office.clinic.offenders("picture", text="no such").items == ()
    assert found.offenders["all"][0].parts["shown"] == 1.0


def test_the_arms_of_a_shopper_are_told_and_not_noted(tmp_path: Path):
    import bodega
    from bodega.evaluation.experiments import assigned
    from bodega.schema.experiments import Arm, Experiment

    test = Experiment(id="t", arms=(Arm(name="a"), Arm(name="b", settings={"diversity.home.strength": 0.5})))
    with bodega.open(tmp_path / "shop") as opened:
        opened.experiments.put(test, who="me")
        assert opened.office.people.state("boss", ("user", "ann")).arms == {}
        opened.experiments.start("t", who="me")
        opened.experiments.refresh()
        arm = assigned(test, "u:ann")
        assert arm is not None
        assert opened.office.people.state("boss", ("user", "ann")).arms == {"t": arm.name}
        assert opened.experiments.sticky.first(("ann",), "", 0.0) == {}
