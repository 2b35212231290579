"""What went wrong in the database, in words that say what to do next?

SQLite tells by the name of its error code, PostgreSQL by its SQLSTATE, a connection that does not come about by text
alone. A database that is *away* (restarting, unreachable, silent) is `StoreUnavailable`: it heals by itself, so waiting
and sending again is right. Everything else is a `StoreError` that somebody has to mend, or a `BadRequest`.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.exc import TimeoutError as PoolTimeout

from bodega.errors import BadRequest, BodegaError, StoreError, StoreUnavailable

AGAIN = "nothing has to be done: it is asked again by itself; send the batch again if it was refused"
FULL = ("the disk is full; nothing of this batch was stored",
        "free space and send the batch again: what was stored before is counted once")  # fmt: skip
HELD = ("another process held the store for more than 15 s",
        "wait for the other import to end (one process writes at a time), then send the batch again")  # fmt: skip
READ_ONLY = "the store may be read but not written"
BROKEN_DISK = ("the disk answered with an error; nothing of this batch was stored",
               "check the disk (and any quota or file size limit), then send the batch again")  # fmt: skip

Words = tuple[tuple[str, ...], str, str]

_SQLITE: Sequence[Words] = (
    (("SQLITE_FULL", "disk is full", "No space left"), *FULL),
    (("SQLITE_BUSY", "SQLITE_LOCKED", "is locked"), *HELD),
    (
        ("SQLITE_READONLY", "readonly", "read-only"),
        READ_ONLY,
        "give this user write access to the store's file and its folder",
    ),
    (
        ("SQLITE_CANTOPEN", "unable to open"),
        "the store's file cannot be opened or created",
        "check that the folder exists and that this user may write to it",
    ),
    (
        ("SQLITE_CORRUPT", "SQLITE_NOTADB", "malformed", "not a database"),
        "the store's file is damaged or is not a store",
        "restore it from a backup, or move it away and import again",
    ),
    (("SQLITE_IOERR", "disk I/O", "Input/output error"), *BROKEN_DISK),
)

_CODES: Sequence[Words] = (
    (("53100",), *FULL),
    (("58030",), *BROKEN_DISK),
    (("53200",), "the database server has no memory left", "give PostgreSQL more memory, or stop other programs on it"),
    (("55P03",), *HELD),
    (
        ("25006",),
        READ_ONLY,
        "this server is a standby or was set read-only: point store.url at the primary",
    ),
    (
        ("28P01", "28000"),
        "the database refused the login",
        "check user and password of store.url (the password may stand in ~/.pgpass) and pg_hba.conf of the server",
    ),
    (
        ("42501",),
        "this database user may not do that",
        "grant it CONNECT and TEMPORARY on the database, USAGE and CREATE on the schema, and the shop's tables",
    ),
    (("3D000",), "there is no such database", "create it (createdb NAME), or correct store.url"),
    (
        ("42P01", "42703"),
        "the store's tables are not those of this version",
        "open the shop again (bodega doctor): opening brings them up to date",
    ),
    (
        ("XX001", "XX002"),
        "the database reports damaged data",
        "stop writing, look into the server's log, restore a backup (bodega restore)",
    ),
    (("57014",), "the statement took longer than it may", "try again; if it stays, look for locks in pg_stat_activity"),
    (("40001", "40P01"), "two writers met at the same rows; nothing of this batch was stored", "send the batch again"),
)

_AWAY: Sequence[Words] = (
    (("57P01", "57P02", "57P03"), "the database is restarting or shutting down", AGAIN),
    (
        ("53300", "too many clients", "remaining connection slots", "too many connections"),
        "the database takes no more connections",
        "raise max_connections of the server, or run fewer workers (each may open up to 15)",
    ),
    (("no answer within",), "the database does not answer", AGAIN),
    (
        ("could not translate host name", "failed to resolve host", "Name or service not known"),
        "the database's host is not known",
        "correct the host in store.url, or mend the name server",
    ),
    (
        ("08", "Connection refused", "timeout expired", "server closed the connection", "connection is closed",
         "connection is lost", "connection was lost", "Connection reset", "socket closed", "Broken pipe",
         "No route to host", "Network is unreachable", "SSL SYSCALL", "could not receive data", "could not send data",
         "unexpected message from server", "lost synchronization", "invalid response"),
        "the database cannot be reached",
        "check that it runs and that store.url names its host and port; it is asked again by itself",
    ),
)  # fmt: skip


def explained(error: Exception, *, where: str) -> BodegaError:
    """The error of ours for an error of SQLAlchemy or of a driver."""
    origin: Exception = getattr(error, "orig", None) or error
    if isinstance(origin, PoolTimeout):
        return StoreUnavailable(
            "every connection to the database is in use",
            where=where,
            next="try again in a second; if it stays, something holds connections: look into pg_stat_activity",
        )
    name = getattr(origin, "sqlite_errorname", None)
    state = getattr(origin, "sqlstate", None) or ""
    if name is not None or type(origin).__module__ == "sqlite3" or isinstance(error, OSError):
        return _of_words(_SQLITE, f"{name or ''} {origin}", origin, where) or _other(origin, where)
    if state.startswith("22") or "cannot contain NUL" in str(origin):
        return BadRequest(
            "this value cannot be kept", where=where, got=str(origin), next="leave out the character or the number"
        )
    if found := _of_code(_CODES, state, origin, where):
        return found
    if found := _away(state, origin, where):
        return found
    signs = str(origin)
    for words, code in _LOGIN:
        if all(word in signs for word in words):
            return _of_code(_CODES, code, origin, where) or _other(origin, where)
    return _other(origin, where)


_LOGIN: Sequence[tuple[tuple[str, ...], str]] = (
    (("authentication failed",), "28P01"),
    (("no pg_hba.conf entry",), "28P01"),
    (("no password supplied",), "28P01"),
    (("role", "does not exist"), "28P01"),
    (("role", "is not permitted"), "28P01"),
    (("database", "does not exist"), "3D000"),
    (("permission denied",), "42501"),
    (("read-only",), "25006"),
    (("during recovery",), "25006"),
    (("No space left",), "53100"),
)
"""An error while connecting carries its text only."""


def _of_words(table: Sequence[Words], signs: str, origin: Exception, where: str) -> StoreError | None:
    for words, what, step in table:
        if any(word in signs for word in words):
            return _told(what, step, origin, where)
    return None


def _told(what: str, step: str, origin: Exception, where: str) -> StoreError:
    error = StoreError(what, where=where, got=str(origin), next=step)
    if what == HELD[0]:
        error.status = 503  # nothing is full or broken: the same batch is taken in a moment
    return error


def _of_code(table: Sequence[Words], state: str, origin: Exception, where: str) -> StoreError | None:
    for codes, what, step in table:
        if state in codes:
            return _told(what, step, origin, where)
    return None


def _away(state: str, origin: Exception, where: str) -> StoreUnavailable | None:
    text = str(origin)
    starting = any(word in text for word in ("starting up", "shutting down", "recovery mode", "administrator command"))
    for words, what, step in _AWAY:
        of_text = any(len(word) > 5 and word in text for word in words)
        if of_text or state in words or (state[:2] in words and state) or (starting and "57P03" in words):
            return StoreUnavailable(what, where=where, got=text, next=step)
    return None


def _other(origin: Exception, where: str) -> StoreError:
    return StoreError("the store refused the statement", where=where, got=str(origin), next="report it with the id")
