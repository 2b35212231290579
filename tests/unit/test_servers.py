"""The test servers start, survive being hurt as a test hurts them, and leave nothing behind; without a package they say
which extra brings it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bodega.errors import MissingExtra
from bodega.testing import servers
from bodega.testing._process import Command, Process, ServerDidNotStart, asked

MAKERS = {
    "postgres": servers.postgres,
    "valkey": lambda: servers.valkey(append_only=True),
    "noida": servers.kafka,
    "tansu": lambda: servers.kafka("tansu"),
}


def made(kind: str) -> Process:
    try:
        return MAKERS[kind]()
    except MissingExtra as missing:
        pytest.skip(missing.what)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_server_answers_is_hurt_and_answers_again(kind):
    with made(kind) as server:
        port, pid = server.port, server.pid
        assert server.answers()
        server.pause()
        assert not server.answers(), "a frozen server still answers"
        server.resume()
        assert server.answers()
        server.kill()
        assert not server.answers()
        server.start()
        assert server.answers()
        server.restart()
        assert (server.port, server.pid != pid, server.answers()) == (port, True, True)
    assert not server.answers()
    assert not server.folder.exists()


def test_what_postgres_committed_survives_kill(postgres_server):
    with servers.postgres() as server:
        url = server.database("shop")
        server.sql("CREATE TABLE kept AS SELECT 1 AS one", "shop")
        server.kill()
        server.start()
        assert server.sql("SELECT one FROM kept", "shop") == [(1,)]
        server.drop(url)
        assert server.sql("SELECT count(*) FROM pg_database WHERE datname = 'shop'") == [(0,)]
        assert server.port != postgres_server.port, "two servers may run at once"


def test_valkey_with_a_password_is_closed_without_it():
    with servers.valkey(password="open sesame") as server:
        assert asked(server.port, b"SET a 1\r\n", b"NOAUTH")
        assert asked(server.port, b'AUTH "open sesame"\r\n', b"+OK")


def test_a_topic_can_be_made_twice(kafka_server):
    kafka_server.create_topic("made-twice", partitions=3)
    kafka_server.create_topic("made-twice", partitions=3)
    from confluent_kafka.admin import AdminClient

    told = AdminClient({"bootstrap.servers": kafka_server.url, "log_level": "0"}).list_topics("made-twice", timeout=30)
    assert len(told.topics["made-twice"].partitions) == 3


def test_the_guard_ends_a_server_whose_owner_was_killed(tmp_path):
    code = (
        "import sys, time; from bodega.testing.servers import valkey\n"
        "with valkey() as server:\n"
        "    print(server.pid, server.folder, flush=True); time.sleep(600)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid, folder = owner.stdout.readline().split()
    owner.kill()
    owner.wait(30)
    owner.stdout.close()
    deadline = time.monotonic() + 60
    while (Path(folder).exists() or running(int(pid))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not running(int(pid)), "the server outlived its owner"
    assert not Path(folder).exists()


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Broken(Process):
    name = "broken"

    def command(self) -> Command:
        return Command([sys.executable, "-c", "raise SystemExit('no licence')"])

    def answers(self) -> bool:
        return False


def test_a_server_that_ends_at_once_shows_its_log():
    with pytest.raises(ServerDidNotStart, match="no licence"), Broken():
        pass


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(servers, "find_spec", lambda _: None)
    for make in MAKERS.values():
        with pytest.raises(MissingExtra, match=r"bodega\[dev\]"):
            make()
    with pytest.raises(ValueError, match="noida"):
        servers.kafka("rabbit")
