"""How are bytes made durable? The engine, SQLite's pragmas, and two transactions on SQLite and PostgreSQL alike.

Writing: SQLite in WAL mode with synchronous=FULL, so a commit returns after the disk has it (NORMAL lost data in 178 of
200 simulated power losses). One lock a process keeps our own threads from polling each other's database lock
(SQLite's busy handler sleeps up to 100 ms); other processes wait by `busy_timeout`. Every write transaction begins
IMMEDIATE: one that starts as a reader and then writes can be refused without waiting. Reading never blocks writing.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, Engine, Select, Table, create_engine, event, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bodega import failpoints
from bodega.adapters.sql.outage import Outage
from bodega.adapters.sql.problems import explained
from bodega.errors import BadSettings, MissingExtra, StoreError, StoreUnavailable

BUSY_SECONDS = 15.0
"""How long a writer waits for another process before it gives up."""

PRAGMAS = (
    f"busy_timeout = {int(BUSY_SECONDS * 1000)}",
    "synchronous = FULL",
    "foreign_keys = ON",
    # 64 MB: an import of 1.5M events keeps the upper pages of its four trees in memory.
    "cache_size = -65536",
    # Copy back to the main file every 64 MB of log instead of every 4: hot index pages are then written once.
    "wal_autocheckpoint = 16384",
    "temp_store = MEMORY",
)
"""Sent to SQLite on every connection, after `journal_mode = WAL`. The crash tests use this very tuple."""

LEAN = "cache_size = -2048"
"""For a process that is one of many, 2 MB a connection: a history read (2.2 ms) and small batches of events cost the
same CPU as with 64 MB, batches of 500 a tenth more; without it each worker comes to hold 25 MB of copies."""

LOOK_UP = 1_000
"""Values asked for in one SELECT."""

RETRY_SECONDS = 10.0
"""A write that may be repeated outlives an absence of the database of this length: a restart takes 1 to 5 s."""

AT_ONCE = 2.0
"""Seconds that a round trip to PostgreSQL may take where somebody waits for a page."""

PATIENT = 330.0
"""The same for work in the background: a little more than the server gives a statement."""

_WRITING = "bodega_writing"
Result = TypeVar("Result")


class Database:
    """One store behind one URL. `writing()` and `reading()` are transactions; both translate what goes wrong.

    On PostgreSQL no round trip takes longer than `within` seconds (SQLite answers from its own disk), and while the
    server is away both are refused at once with StoreUnavailable; `write` waits for it and tries again.
    """

    def __init__(self, url: str) -> None:
        self.url = _parsed(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.name = self.url.render_as_string(hide_password=True)
        self._lock = threading.RLock()
        self._texts: dict[str, str] = {}
        """{table: its INSERT}"""
        self._driver_error: type[Exception] = sqlite3.Error
        self._engine = _engine(self.url, is_sqlite=self.is_sqlite)
        options = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._reader = self._engine.execution_options(**options)
        self._writer = self._engine.execution_options(**{_WRITING: True})
        self._outage = None
        if not self.is_sqlite:
            self._driver_error = self._postgres.DriverError
            self._outage = Outage(self._probe, where=self.name)

    @property
    def trouble(self) -> str:
        """What is wrong with the database, for `/readyz`; "" while it answers."""
        return "" if self._outage is None else self._outage.what

    @contextmanager
    def writing(self, within: float | None = PATIENT) -> Iterator[Connection]:
        """A transaction that writes: durable when the block has ended without an exception. One writes at a time.

        `within=None`: as long as it takes, as migrations and moves do.
        """
        with self._lock, self._translated():
            with self._writer.begin() as connection:
                self._begun(connection, within)
                if not self.is_sqlite:
                    self._postgres.lock_writers(connection, patient=within is None)
                if failpoints.ON:
                    failpoints.reach("store.begin")
                yield connection
                if failpoints.ON:
                    failpoints.reach("store.commit")
            if failpoints.ON:
                failpoints.reach("store.committed")

    @contextmanager
    def reading(self, within: float | None = PATIENT) -> Iterator[Connection]:
        """A consistent view: what was committed when the first statement ran."""
        with self._translated(), self._reader.connect() as connection:
            self._begun(connection, within)
            if failpoints.ON:
                failpoints.reach("store.read")
            yield connection

    def write(self, work: Callable[[Connection], Result], *, repeatable: bool = True) -> Result:
        """Do `work` in a transaction; should PostgreSQL restart meanwhile, do it again, for up to RETRY_SECONDS.

        What failed before its COMMIT was sent has left nothing behind. What failed after may be there, and is tried
        again only where that does no harm (`repeatable`): where keys tell a row that is there already.
        """
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            committing = False
            try:
                with self.writing() as connection:
                    result = work(connection)
                    committing = True
                return result
            except StoreUnavailable:
                left = deadline - time.monotonic()
                if self._outage is None or left <= 0 or (committing and not repeatable):
                    raise
                self._outage.wait(left)

    def refuse_if_away(self, longer_than: float = RETRY_SECONDS) -> None:
        """Raises StoreUnavailable where the database has been away for longer than a restart takes."""
        if self._outage is not None and self._outage.seconds > longer_than:
            self._outage.refuse()

    def insert_new(self, connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows (values in column order), leaving out those whose key is there already.

        SQLite: compiled once by SQLAlchemy, its rows go straight to the driver: measured 110k events a CPU second
        against 58k through SQLAlchemy's own executemany, whose per-row dictionaries cost as much again.
        """
        if not rows:
            return
        if self.is_sqlite:
            text = self._texts.get(table.name)
            if text is None:  # compiling takes .4 ms, as long as 10 events
                statement = sqlite.insert(table).on_conflict_do_nothing()
                text = self._texts[table.name] = str(statement.compile(dialect=self._engine.dialect))
            connection.exec_driver_sql(text, list(rows))
        else:
            self._postgres.insert_new(connection, table, rows)

    def look_up(
        self, connection: Connection, columns: Sequence[Column[Any]], key: Column[str], values: Sequence[str]
    ) -> Iterator[Sequence[Any]]:
        """The `columns` of the rows whose `key` is one of `values`; on SQLite 1,000 values a statement.

        There the statement is written once: SQLAlchemy expands an IN list again for each call.
        """
        if not self.is_sqlite:
            yield from self._postgres.look_up(connection, columns, key, values)
            return
        name = f"{key.table.name}.{key.name}:" + ",".join(column.name for column in columns)
        query = self._texts.get(name)
        if query is None:
            query = self._texts[name] = str(select(*columns).compile(dialect=self._engine.dialect))
        for start in range(0, len(values), LOOK_UP):
            part = tuple(values[start : start + LOOK_UP])
            yield from connection.exec_driver_sql(f"{query} WHERE {key.name} IN ({','.join('?' * len(part))})", part)

    def stream(self, query: Select[Any], chunk: int) -> Iterator[Sequence[Sequence[Any]]]:
        """The rows of a long query, `chunk` at a time, in one consistent view.

        They come straight from the driver; on SQLite 450k events a CPU second against 340k through Row objects.
        """
        with self.reading() as connection:
            yield from self.stream_on(connection, query, chunk)

    def stream_on(self, connection: Connection, query: Select[Any], chunk: int) -> Iterator[Sequence[Sequence[Any]]]:
        """The same inside somebody's transaction, whose view it shares."""
        compiled = str(query.compile(dialect=self._engine.dialect, compile_kwargs={"literal_binds": True}))
        if not self.is_sqlite:
            yield from self._postgres.stream(connection, compiled, chunk)
            return
        if not connection.in_transaction():
            connection.begin()
        with closing(connection.connection.cursor()) as cursor:
            cursor.execute(compiled)
            while rows := cursor.fetchmany(chunk):
                yield rows

    def rest(self) -> None:
        """Close every connection that nobody uses; the next transaction opens one.

        On SQLite later connections keep `LEAN` pages in memory: several processes share those that the system keeps.
        """
        self._engine.dispose()
        if self.is_sqlite and not event.contains(self._engine, "connect", _lean):
            event.listen(self._engine, "connect", _lean)

    def close(self) -> None:
        if self._outage is not None:
            self._outage.close()
        self._engine.dispose()

    @property
    def _postgres(self) -> ModuleType:
        """What only PostgreSQL needs; not loaded for SQLite."""
        from bodega.adapters.sql import postgres

        return postgres

    def _begun(self, connection: Connection, within: float | None) -> None:
        if not self.is_sqlite:
            self._postgres.impatient(connection, within)

    def _probe(self) -> None:
        self._postgres.probe(self._engine)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        if self._outage is not None:
            self._outage.refuse()
        try:
            yield
        except (DBAPIError, self._driver_error, PoolTimeout, OSError) as error:
            problem = explained(error, where=self.name)
            if isinstance(problem, StoreUnavailable) and self._outage is not None:
                self._outage.began(problem)
                self._engine.dispose()  # connections that may be half dead: each would be found out one by one
            raise problem from error


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise _bad_url(url, "not a database URL") from error
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        if find_spec("psycopg") is None:
            raise MissingExtra.named("postgres", needed_for="a store on PostgreSQL")
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise _bad_url(url, f"a store on {backend}")
    if parsed.database in (None, "", ":memory:"):
        raise _bad_url(url, "a store in memory only: nothing acknowledged would be durable")
    return parsed


def _bad_url(url: str, got: str) -> BadSettings:
    return BadSettings(
        "this store URL cannot be used",
        where=f"store.url = {url.split('@')[-1]!r}",
        allowed="sqlite:////absolute/path/bodega.db or postgresql://user@host/database",
        got=got,
        next="leave store.url empty to keep the store in the shop's folder",
    )


def _engine(url: URL, *, is_sqlite: bool) -> Engine:
    if not is_sqlite:
        from bodega.adapters.sql.postgres import open_engine

        return open_engine(url)
    folder = Path(str(url.database)).absolute().parent
    try:
        exists = folder.is_dir()
    except OSError as error:
        raise StoreError(
            "the folder of the store may not be entered", where=str(folder), got=str(error), next="give access to it"
        ) from error
    if not exists:
        raise StoreError(
            "the folder of the store does not exist", where=str(folder), next="create the folder, or correct store.url"
        )
    # Short-lived readers share five connections; a scan holds one for as long as it is read.
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, pool_size=5, max_overflow=20)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: the driver's guessing breaks DDL in transactions
    prepare_sqlite(connection.execute)


def _lean(connection: sqlite3.Connection, _: object) -> None:
    connection.execute(f"PRAGMA {LEAN}")


def prepare_sqlite(execute: Any) -> None:
    """Send the pragmas through `execute(sql)`; switching a new file to WAL is tried again while others do the same."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    for pragma in PRAGMAS:
        execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get(_WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
