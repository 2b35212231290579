"""Snapshots in a shared folder: every server serves the same verified bytes, and goes on when the folder is away."""

from __future__ import annotations

import os
import random
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

import bodega
from bodega.engine import depot as room
from bodega.engine.depot import Depot
from bodega.engine.snapshot import Snapshots
from bodega.errors import BadSettings, NotLearned, SnapshotCorrupt, StoreError
from bodega.schema import Item


def writes(text: str) -> Any:
    def build(folder: Path) -> dict[str, Any]:
        (folder / "deep").mkdir()
        (folder / "deep" / "same.bin").write_bytes(b"shared by all")
        (folder / "a.txt").write_text(text)
        return {"length": len(text)}

    return build


def read(shelf: Snapshots) -> str:
    return (shelf.open()[0] / "a.txt").read_text()


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    (tmp_path / "shared").mkdir()
    return tmp_path / "shared"


@pytest.fixture
def school(tmp_path: Path, shared: Path) -> Snapshots:
    """Where is learned."""
    return Snapshots(tmp_path / "school", Depot(shared))


@pytest.fixture
def till(tmp_path: Path, shared: Path) -> Snapshots:
    """A server of its own."""
    return Snapshots(tmp_path / "till", Depot(shared))


def objects(shared: Path) -> list[Path]:
    return sorted((shared / "objects").iterdir())


def test_what_one_learns_the_others_serve(school, till, shared):
    with pytest.raises(NotLearned):
        till.open()
    first = school.publish(writes("one"), code="1")
    assert (till.current(), read(till)) == (first, "one")
    assert [info.id for info in till.infos()] == [first]
    second = school.publish(writes("two"), code="1")
    assert (till.current(), read(till)) == (second, "two")
    assert len(objects(shared)) == 3, "a file that did not change is sent once"
    assert till.rollback() == first
    assert read(school) == "one", "going back is for all servers"


def test_what_was_fetched_is_served_while_the_folder_is_away(school, till, shared):
    school.publish(writes("one"), code="1")
    assert read(till) == "one"
    shared.rename(shared.with_name("unmounted"))
    again = Snapshots(till.folder, Depot(shared))  # a server that starts meanwhile
    folder, _, warnings = again.open()
    assert (folder / "a.txt").read_text() == "one"
    assert "shared folder" in warnings[0]
    with pytest.raises(StoreError, match="shared folder") as caught:
        school.publish(writes("two"), code="1")
    assert "snapshots share" in caught.value.next
    assert read(school) == "two", "what was learned is not lost"
    shared.with_name("unmounted").rename(shared)
    assert read(again) == "one"
    school.share()
    assert read(again) == "two"


def test_damage_in_the_shared_folder_is_found_and_the_one_before_served(school, till, shared):
    first = school.publish(writes("one"), code="1")
    before = set(objects(shared))
    second = school.publish(writes("two"), code="1")
    (fresh,) = set(objects(shared)) - before
    fresh.write_bytes(b"twO")
    folder, _, warnings = till.open()
    assert folder.name == first
    assert second in " ".join(warnings)
    assert not (till.folder / second).exists(), "damaged bytes were kept"
    school.share(second)
    assert read(till) == "two", "sharing it again does not mend the object"


def test_damage_in_the_cache_is_mended_from_the_shared_folder(school, till):
    name = school.publish(writes("one"), code="1")
    assert read(till) == "one"
    (till.folder / name / "a.txt").write_text("0ne")
    folder, _, warnings = till.open()
    assert ((folder / "a.txt").read_text(), warnings) == ("one", ())


def test_no_flipped_bit_of_the_shared_folder_is_ever_served(school, tmp_path, shared):
    """R5 through the shared folder: pointer, manifests and objects."""
    school.publish(writes("one"), code="1")
    school.publish(writes("two"), code="1")
    rng, served = random.Random(7), []
    files = [path for path in shared.rglob("*") if path.is_file()]
    for number in range(120):
        path = rng.choice(files)
        good = path.read_bytes()
        bit = rng.randrange(8 * len(good))
        path.write_bytes(good[: bit // 8] + bytes([good[bit // 8] ^ 1 << bit % 8]) + good[bit // 8 + 1 :])
        fresh = Snapshots(tmp_path / f"server{number}", Depot(shared))
        try:
            folder, _, _ = fresh.open()
            served.append(((folder / "a.txt").read_text(), (folder / "deep" / "same.bin").read_bytes()))
        except (SnapshotCorrupt, NotLearned, StoreError):
            pass
        path.write_bytes(good)
        shutil.rmtree(fresh.folder, ignore_errors=True)
    assert {text for text, _ in served} <= {"one", "two"}
    assert {same for _, same in served} == {b"shared by all"}
    assert len(served) > 60, "the snapshot before does not take over"


def test_a_reader_that_trusts_serves_damage(school, till, shared, monkeypatch):
    """The broken twin: without the hash on the way in, damaged bytes are served."""
    school.publish(writes("one"), code="1")
    damaged = next(path for path in objects(shared) if path.read_bytes() == b"one")
    damaged.write_bytes(b"0ne")

    def trusts(self: Depot, digest: str, to: Path) -> None:
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.folder / "objects" / digest, to)

    monkeypatch.setattr(Depot, "fetch", trusts)
    assert read(till) == "0ne"


def test_many_servers_fetch_at_once(school, till):
    school.publish(writes("one"), code="1")
    found: list[str] = []
    servers = [
        threading.Thread(target=lambda: found.append(read(Snapshots(till.folder, till.depot)))) for _ in range(6)
    ]
    for server in servers:
        server.start()
    for server in servers:
        server.join(30)
    assert found == ["one"] * 6


def test_what_nobody_names_any_more_goes_after_a_day(school, till, shared, monkeypatch):
    for number in range(6):
        school.publish(writes(f"number {number}"), code="1")
    school.prune()
    assert len(list((shared / "manifests").iterdir())) == 3
    assert len(objects(shared)) == 7, "an object goes before its day is over"
    for path in objects(shared):
        os.utime(path, (0, 0))
    school.prune()
    assert len(objects(shared)) == 4
    assert read(till) == "number 5"
    school.publish(writes("number 6"), code="1")
    assert read(till) == "number 6"
    for number in range(7, 12):
        school.publish(writes(f"number {number}"), code="1")
        read(till)
    assert len([path for path in till.folder.iterdir() if path.is_dir()]) <= 4, "a server keeps every snapshot for ever"


@pytest.mark.parametrize("url", ["s3://bucket/shop", "https://host/shop", "file://host/shop"])
def test_other_addresses_are_refused(url, tmp_path):
    with pytest.raises(BadSettings, match="shared there"):
        Depot.at(url, tmp_path)


def test_a_share_that_is_not_mounted_is_not_made_up(tmp_path):
    away = Snapshots(tmp_path / "school", Depot(tmp_path / "not mounted"))
    with pytest.raises(StoreError, match="cannot be used"):
        away.publish(writes("one"), code="1")
    assert not (tmp_path / "not mounted").exists()


def test_addresses(tmp_path):
    assert Depot.at("file:///srv/my%20shop", tmp_path).folder == Path("/srv/my shop")
    assert Depot.at("/srv/shop", tmp_path).folder == Path("/srv/shop")
    assert Depot.at("../shared", tmp_path).folder == tmp_path / "../shared"
    assert room.GRACE >= 3_600


@pytest.mark.slow
def test_two_servers_of_one_shop_follow_what_a_third_learned(tmp_path, shared, monkeypatch, small_world):
    monkeypatch.setenv("BODEGA_SNAPSHOTS_URL", str(shared))
    with bodega.open(tmp_path / "school") as school:
        school.catalog.upsert(small_world.items)
        school.events.record(small_world.events)
        snapshot = school.learn().snapshot
        wanted = school.search("milk").ids
    shutil.copy(tmp_path / "school" / "shop.db", tmp_path / "db")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shutil.copy(tmp_path / "school" / "bodega.toml", tmp_path / name)
        shutil.copy(tmp_path / "db", tmp_path / name / "shop.db")
        with bodega.open(tmp_path / name) as server:
            assert server.learned
            assert server.search("milk").ids == wanted
            assert server.health()["snapshot"] == snapshot
            server.catalog.upsert([Item(id="fresh", title="Fresh milk")])
