"""Who may ask? API keys, kept as hashes only.

A key is 256 random bits, so a plain SHA-256 of it is the right hash: there is nothing to guess (2^256 tries), hence
nothing that a slow password hash or a salt would slow down, and checking a key costs a microsecond on every request
instead of 50 ms. Passwords chosen by people would need argon2; there are none here. Look-up is by hash, so the time
it takes says nothing about how much of a wrong key was right.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import RowMapping, select, update

from bodega.adapters.sql.database import AT_ONCE, Database
from bodega.adapters.sql.tables import API_KEYS
from bodega.errors import BadRequest
from bodega.protocols import KeyInfo

SCOPES = ("search", "events", "admin")
PREFIX = "bodega_"
"""Lets a secret scanner recognise a key that slipped into a repository."""


class SqlKeys:
    """Implements `protocols.KeyStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, label: str, scopes: Sequence[str]) -> str:
        """A new key with these scopes (of `SCOPES`), in plain text: shown this once. Raises BadRequest."""
        if not scopes or not set(scopes) <= set(SCOPES):
            raise BadRequest(
                "a key needs known scopes",
                where="keys.create(scopes=)",
                allowed=", ".join(SCOPES),
                got=list(scopes),
                next="name one or more of the allowed scopes",
            )
        key = PREFIX + secrets.token_urlsafe(32)
        row = {
            "id": secrets.token_hex(4),
            "label": label,
            "scopes": " ".join(scope for scope in SCOPES if scope in scopes),
            "hash": _hash(key),
            "created": time.time_ns() // 1000,
        }
        with self._database.writing() as connection:
            connection.execute(API_KEYS.insert(), row)
        return key

    def find(self, key: str) -> KeyInfo | None:
        """The key's facts, or None when it is unknown or revoked."""
        query = select(API_KEYS).where(API_KEYS.c.hash == _hash(key), API_KEYS.c.revoked.is_(None))
        with self._database.reading(AT_ONCE) as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else _info(row)

    def list(self) -> list[KeyInfo]:
        """All keys, revoked ones too, oldest first."""
        query = select(API_KEYS).order_by(API_KEYS.c.created, API_KEYS.c.id)
        with self._database.reading() as connection:
            return [_info(row) for row in connection.execute(query).mappings()]

    def revoke(self, id: str) -> bool:  # noqa: A002 - the noun of the column
        """Refuse this key from now on; False when there is none, or it was revoked before."""
        query = update(API_KEYS).where(API_KEYS.c.id == id, API_KEYS.c.revoked.is_(None))
        with self._database.writing() as connection:
            return connection.execute(query.values(revoked=time.time_ns() // 1000)).rowcount == 1


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _info(row: RowMapping) -> KeyInfo:
    created = datetime.fromtimestamp(row["created"] / 1e6, UTC)
    return KeyInfo(row["id"], row["label"], tuple(row["scopes"].split()), created, revoked=row["revoked"] is not None)
