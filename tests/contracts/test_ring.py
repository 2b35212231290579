"""Does the ring between processes keep every promise, and is one without the lock, or without the claim, caught?"""

from __future__ import annotations

import multiprocessing
import threading
from contextlib import closing, nullcontext
from pathlib import Path

import pytest

from bodega.adapters.ring import START, Ring
from bodega.errors import BadSettings, StoreError

RECORDS = 1_500


class Lockless(Ring):
    """A broken twin: every writer believes that it is alone, and looks up from its work now and then."""

    def _alone(self):
        return nullcontext()

    def _put(self, at, data):
        super()._put(at, data)
        threading.Event().wait(0.0002)  # as a busy machine would make it


def write(make: type[Ring], path: Path, number: int, start) -> None:
    with closing(make(path)) as ring:
        start.wait(60)
        for record in range(RECORDS):
            ring.tell(1, f"{number}:{record}:".encode() + b"x" * (record % 97))


def told_by_three(make: type[Ring], path: Path) -> list[tuple[int, int]] | None:
    """Three processes write at once while this one reads; (writer, record) in the order read, None when torn."""
    context = multiprocessing.get_context("spawn")
    start = context.Event()
    found: list[tuple[int, int]] = []
    with closing(Ring.create(path, 2**20)) as reader:
        writers = [context.Process(target=write, args=(make, path, number, start)) for number in range(3)]
        for each in writers:
            each.start()
        start.set()
        while True:
            alive = any(each.is_alive() for each in writers)
            heard = reader.read()
            if heard is None:
                for each in writers:
                    each.join(60)
                return None
            for told in heard:
                number, record, _ = told.body.split(b":", 2)
                found.append((int(number), int(record)))
            if not alive and not reader.waiting():
                break
        for each in writers:
            each.join(60)
            assert each.exitcode == 0
    return found


def complete(found: list[tuple[int, int]] | None) -> bool:
    """Was every record of every writer read once, each writer's in its order?"""
    if found is None or len(found) != 3 * RECORDS:
        return False
    return all([r for n, r in found if n == number] == list(range(RECORDS)) for number in range(3))


def test_what_processes_tell_at_once_is_read_once_and_whole(tmp_path):
    assert complete(told_by_three(Ring, tmp_path / "ring"))


def test_a_ring_without_the_lock_is_caught(tmp_path):
    assert not complete(told_by_three(Lockless, tmp_path / "ring"))


def test_nobody_hears_himself_and_everybody_else_does(tmp_path):
    with closing(Ring.create(tmp_path / "ring", 4_096)) as one, closing(Ring(tmp_path / "ring")) as two:
        assert not one.waiting()
        one.tell(7, b"hello")
        assert two.waiting()
        assert [(told.kind, told.body) for told in two.read()] == [(7, b"hello")]
        assert not two.waiting()
        assert one.read() == []
        late = Ring(tmp_path / "ring")
        assert not late.waiting(), "who joins hears what comes, not what was"
        late.close()


def test_the_circle_closes_and_who_was_lapped_is_told(tmp_path):
    with closing(Ring.create(tmp_path / "ring", 1_024)) as one, closing(Ring(tmp_path / "ring")) as two:
        for number in range(400):
            one.tell(1, bytes([number % 256]) * (number % 40))
            if number % 5 == 4:
                heard = two.read()
                assert [told.body for told in heard] == [
                    bytes([each % 256]) * (each % 40) for each in range(number - 4, number + 1)
                ]
        for _ in range(100):
            one.tell(1, b"too much for a small ring")
        assert two.read() is None
        assert two.read() == [], "told once, then it goes on"
        one.tell(1, b"again")
        assert [told.body for told in two.read()] == [b"again"]


def test_a_writer_killed_in_the_middle_leaves_nothing(tmp_path):
    with closing(Ring.create(tmp_path / "ring", 4_096)) as one, closing(Ring(tmp_path / "ring")) as two:
        one.tell(1, b"before")
        one._words[2] += 64  # it had claimed its place and written half of a record
        one._map[START + 24 : START + 40] = b"\xff" * 16
        assert [told.body for told in two.read()] == [b"before"]
        one.tell(1, b"after")
        assert [told.body for told in two.read()] == [b"after"]


def test_torn_records_are_lost_not_believed(tmp_path):
    with closing(Ring.create(tmp_path / "ring", 4_096)) as one, closing(Ring(tmp_path / "ring")) as two:
        one.tell(1, b"a click of somebody")
        one._map[START + 20 : START + 22] = b"!!"
        assert two.read() is None


def test_other_files_and_sizes_are_refused(tmp_path):
    (tmp_path / "no").write_bytes(b"something else" * 1_000)
    (tmp_path / "empty").write_bytes(b"")
    for name in ("no", "empty"):
        with pytest.raises(StoreError):
            Ring(tmp_path / name)
    with pytest.raises(BadSettings):
        Ring.create(tmp_path / "odd", 1_025)
    with closing(Ring.create(tmp_path / "ring", 4_096)) as ring, pytest.raises(StoreError):
        ring.tell(1, b"x" * 3_000)
