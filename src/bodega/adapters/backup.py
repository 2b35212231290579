"""Can the shop be put back? A folder with its store, its settings and its snapshot, and how to prove that it is whole.

    SHA256SUMS       of every other file, as `sha256sum -c` reads it
    backup.json      what it holds: version, layout, rows and digest of every table, id of the snapshot
    store.db         the store as one SQLite file, whatever database the shop is on
    shop/            settings and keys of the shop's folder
    snapshots/<id>/  what it had learned

The store is read in one consistent view while the shop serves: SQLite's own backup from inside a read transaction,
an export from one REPEATABLE READ transaction of PostgreSQL. The snapshot is copied *before* the store: it may be older
than the store but never newer, and a server catches up from its catalog cursor. `restore` believes nothing: every file
is hashed first, every table digested afterwards, and the shop's folder appears by one rename.
Cost: see docs/stores.md. Not for: copies of a single table, or going back in time without a backup.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bodega import __version__, failpoints, settings
from bodega.adapters.sql.copying import copy_all, counts, digests
from bodega.adapters.sql.database import Database
from bodega.adapters.sql.migrate import HEAD, migrate, revision
from bodega.adapters.sql.tables import META
from bodega.engine.ballast import FILE as BALLAST
from bodega.engine.snapshot import Snapshots
from bodega.errors import NotAShop, NotLearned, StoreError, UsageError
from bodega.protocols import NoProgress, Progress
from bodega.schema.moves import BackupReport, TableCopy

SUMS, MANIFEST, STORE, SHOP, SNAPSHOTS = "SHA256SUMS", "backup.json", "store.db", "shop", "snapshots"
DATABASE = "shop.db"
_LINE = re.compile(r"([0-9a-f]{64})  ([^\n]+)")
_PAGES = 8_192
"""Pages of 4 kB between two steps of the bar."""


class Backup(msgspec.Struct, frozen=True):
    """`backup.json`."""

    format: int
    code: str
    layout: str
    time: datetime
    store: str
    """`sqlite` or `postgresql`: where the shop was."""
    snapshot: str
    tables: tuple[TableCopy, ...]
    files: tuple[str, ...]


def back_up(shop: Path, to: Path, progress: Progress) -> BackupReport:
    """Write a backup of the shop in a folder into a new or empty folder. Raises UsageError, StoreError."""
    started = time.perf_counter()
    chosen = settings.load(shop)
    _empty(to, "backup")
    to = to.absolute()
    with _draft(to) as draft, closing(Database(store_url(shop, chosen))) as database:
        migrate(database)
        snapshot = _copy_snapshot(Snapshots.of(shop, chosen.snapshots.url), draft / SNAPSHOTS)
        (draft / SHOP).mkdir()
        for path in sorted(shop.iterdir()):
            if _belongs(path):
                shutil.copy2(path, draft / SHOP / path.name)
        tables = _store_into(database, draft / STORE, progress)
        if failpoints.ON:
            failpoints.reach("backup.copied")
        names = (*sorted(path.relative_to(draft).as_posix() for path in draft.rglob("*") if path.is_file()),)
        kind = "sqlite" if database.is_sqlite else "postgresql"
        told = Backup(1, __version__, HEAD, datetime.now(UTC), kind, snapshot, tables, names)
        (draft / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=1))
        size = _write_sums(draft, progress)
        return BackupReport(
            str(to), database.name, tables, snapshot, len(names) + 2, size, time.perf_counter() - started
        )


def restore(backup: Path, shop: Path, progress: Progress, *, replace: bool = False) -> BackupReport:
    """Put a shop back and compare it with the backup, table by table.

    An existing folder is refused, or with `replace` moved aside (never deleted). A shop on PostgreSQL goes into the
    database that its settings (or BODEGA_STORE_URL) name, which must be empty. Raises UsageError, StoreError.
    """
    started = time.perf_counter()
    told = verify(backup, progress)
    if not replace:
        _empty(shop, "restore")
    shop = shop.absolute()
    with _draft(shop, replace=replace) as draft:
        for path in sorted((backup / SHOP).iterdir()):
            shutil.copy2(path, draft / path.name)
        chosen = settings.load(draft)
        if told.snapshot:
            shutil.copytree(backup / SNAPSHOTS / told.snapshot, draft / SNAPSHOTS / told.snapshot)
            Snapshots(draft / SNAPSHOTS).share(told.snapshot)
        tables, name = _store_back(backup / STORE, draft, chosen, told, progress)
        if failpoints.ON:
            failpoints.reach("restore.copied")
    if told.snapshot and chosen.snapshots.url:  # a newer one would have learned from items that are not there again
        Snapshots.of(shop, chosen.snapshots.url).share(told.snapshot)
    size = sum(path.stat().st_size for path in shop.rglob("*") if path.is_file())
    return BackupReport(str(shop), name, tables, told.snapshot, len(told.files), size, time.perf_counter() - started)


def verify(backup: Path, progress: Progress) -> Backup:
    """Hash every file of a backup. Raises NotAShop where it is none, StoreError where a byte differs."""
    if not (backup / SUMS).is_file():
        raise NotAShop(
            "this folder holds no backup", where=str(backup), allowed=f"a folder of `bodega backup` with {SUMS}",
            next="name the folder that `bodega backup` wrote",
        )  # fmt: skip
    try:
        lines = (backup / SUMS).read_text("utf-8").splitlines()
        wanted = {found[2]: found[1] for line in lines if (found := _LINE.fullmatch(line))}
        if len(wanted) != len(lines) or MANIFEST not in wanted:
            raise _damaged(backup, f"{SUMS} is not as it was written")
        progress.start("check the backup", float(len(wanted)))
        for name, digest in wanted.items():
            if _hash(backup / name) != digest:
                raise _damaged(backup, f"{name} differs from its checksum")
            progress.advance()
        progress.finish()
        told = msgspec.json.decode((backup / MANIFEST).read_bytes(), type=Backup)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise _damaged(backup, str(error)) from error
    if set(told.files) | {MANIFEST} != wanted.keys():
        raise _damaged(backup, f"{SUMS} does not list the files of {MANIFEST}")
    return told


def store_url(shop: Path, chosen: settings.Settings) -> str:
    """Where the store of a shop's folder is."""
    return chosen.store.url or f"sqlite:///{shop.absolute() / DATABASE}"


def _belongs(path: Path) -> bool:
    """Files of the shop itself: its store is copied on its own, what starts with a dot is of a running process, and the
    ballast is nothing but room."""
    return path.is_file() and not path.name.startswith((".", DATABASE)) and path.name != BALLAST


def _copy_snapshot(snapshots: Snapshots, to: Path) -> str:
    """The current snapshot, verified again after it was copied; "" for a shop that has not learned."""
    for attempt in range(3):
        try:
            folder, _, _ = snapshots.open()
            shutil.rmtree(to, ignore_errors=True)
            shutil.copytree(folder, to / folder.name)
            Snapshots(to).verify(folder.name)
            return folder.name
        except NotLearned:
            return ""
        except (OSError, shutil.Error):  # `learn` published another one meanwhile and removed this one
            if attempt == 2:
                raise
    return ""


def _store_into(database: Database, path: Path, progress: Progress) -> tuple[TableCopy, ...]:
    """The store as one SQLite file; returns its digests, taken from the copy."""
    if database.is_sqlite:
        _copy_file(str(database.url.database), path, progress)
    with closing(Database(f"sqlite:///{path}")) as copy:
        migrate(copy)
        if database.is_sqlite:
            tables = digests(copy, progress)
        else:
            with database.reading() as reading:
                tables = copy_all(database, reading, copy, progress)
            if digests(copy, NoProgress()) != tables:
                raise StoreError("the copy does not hold what the store holds", where=str(path), next="try again")
    _closed(path)
    return tables


def _copy_file(source: str, target: Path, progress: Progress) -> None:
    """SQLite's backup inside one read transaction: writers go on, and the copy is of one moment."""
    with closing(sqlite3.connect(source, isolation_level=None)) as given, closing(sqlite3.connect(target)) as kept:
        given.execute("PRAGMA busy_timeout = 15000")
        given.execute("BEGIN")
        (total,) = given.execute("PRAGMA page_count").fetchone()
        given.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the view begins here
        progress.start("copy the store", float(total))
        left = total

        def moved(_: int, remaining: int, __: int) -> None:
            nonlocal left
            progress.advance(float(left - remaining))
            left = remaining

        given.backup(kept, pages=_PAGES, progress=moved)
        progress.finish()
        given.execute("ROLLBACK")
        (answer,) = kept.execute("PRAGMA quick_check(1)").fetchone()
    if answer != "ok":
        raise StoreError(
            "the store itself is damaged", where=source, got=str(answer), next="restore an older backup beside it"
        )


def _closed(path: Path) -> None:
    """One file and nothing beside it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE").fetchone()


def _store_back(
    kept: Path, draft: Path, chosen: settings.Settings, told: Backup, progress: Progress
) -> tuple[tuple[TableCopy, ...], str]:
    """The store where the settings say; returns its digests and its name. Raises StoreError where they differ."""
    file = draft / DATABASE
    progress.start("copy the store")
    shutil.copyfile(kept, file)
    progress.finish()
    with closing(Database(f"sqlite:///{file}")) as copy:
        older = revision(copy) != HEAD
        migrate(copy)
        tables = digests(copy, progress)
        if not older and tables != told.tables:
            raise _damaged(kept, "the restored tables are not those of the backup")
        if not chosen.store.url or chosen.store.url.startswith("sqlite"):
            name = store_url(draft, chosen)
        else:
            name = _into_server(copy, chosen.store.url, tables, progress)
    _closed(file)
    if chosen.store.url.startswith("sqlite"):
        target = Path(str(Database(chosen.store.url).url.database))
        if target.exists():
            raise _occupied(chosen.store.url, "a store")
        file.rename(target)
    elif chosen.store.url:
        file.unlink()
    return tables, name


def _into_server(copy: Database, url: str, tables: tuple[TableCopy, ...], progress: Progress) -> str:
    with closing(Database(url)) as target:
        migrate(target)
        with target.reading() as connection:
            rows = {name: count for name, count in counts(connection).items() if count and name != META.name}
        if rows:
            raise _occupied(target.name, ", ".join(f"{count:,} {name}" for name, count in rows.items()))
        with copy.reading() as reading:
            copy_all(copy, reading, target, progress)
        if digests(target, progress) != tables:
            raise StoreError(
                "the database does not hold what the backup holds", where=target.name,
                next="empty the database and restore again; report it if it stays",
            )  # fmt: skip
        return target.name


def _occupied(where: str, got: str) -> UsageError:
    return UsageError(
        "the database that the settings name is not empty: two shops are never mixed",
        where=where,
        got=got,
        next="make a new database and name it in BODEGA_STORE_URL",
    )


@contextmanager
def _draft(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """A folder beside the target that becomes it by one rename when the block has ended well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}-{os.getpid()}-{secrets.token_hex(3)}")
    try:
        draft.mkdir(mode=0o700)
        yield draft
        for path in (*sorted(draft.rglob("*"), reverse=True), draft):
            _flush(path)
        if target.exists():
            if replace and any(target.iterdir()):
                target.rename(target.with_name(f"{target.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S}"))
            else:
                target.rmdir()
        draft.rename(target)
        _flush(target.parent)
    except OSError as error:
        raise StoreError(
            "the files cannot be written", where=str(target), got=str(error), next="free space or give write access"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _empty(folder: Path, where: str) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            "this folder is not empty",
            where=str(folder),
            allowed="a new or an empty folder",
            next="name another folder"
            + ("; or `bodega restore ... --replace`, which moves the old one aside" if where == "restore" else ""),
        )


def _write_sums(draft: Path, progress: Progress) -> int:
    paths = sorted(path for path in draft.rglob("*") if path.is_file())
    progress.start("take checksums", float(len(paths)))
    lines = []
    for path in paths:
        lines.append(f"{_hash(path)}  {path.relative_to(draft).as_posix()}\n")
        progress.advance()
    (draft / SUMS).write_text("".join(lines), "utf-8")
    progress.finish()
    return sum(path.stat().st_size for path in paths)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _damaged(where: Path, got: str) -> StoreError:
    return StoreError(
        "this backup is damaged; nothing was restored", where=str(where), got=got, next="restore an older backup"
    )
