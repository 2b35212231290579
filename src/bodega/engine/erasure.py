"""How is somebody forgotten, and who can prove it? Rows at once, models with the next learn, a signed receipt.

    forget  -> tombstones   keyed digests of every id: what was done until now is not taken in again, whoever sends it
            -> rows         events, dead letters, decisions, answers, identities, words about consent
            -> memory       states of shoppers here; other processes are told, or see it within two seconds
            -> copies       the columns that questions are asked about
            -> ledger       one line of digests in `erasures.log`, beside the store: what a restored backup must forget
    learn   -> models       made of what is left; every snapshot from before is deleted, the receipt says so

The first step makes the others repeatable: a forget that was killed midway is finished by calling it again.
Cost: 150 us a row; .3 s for a median shopper. Not for: which ids are one shopper (`privacy.py`).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bodega import failpoints
from bodega.engine.ballast import Ballast
from bodega.engine.privacy import Privacy
from bodega.engine.snapshot import Snapshots
from bodega.errors import BadRequest
from bodega.events.people import Erased
from bodega.events.pseudonyms import FILE as KEY_FILE
from bodega.events.pseudonyms import another_key

LEDGER = "erasures.log"
"""Beside the store, in the shop's folder: it outlives a store that is put back from a backup."""
ANALYTICS = "analytics"
ROWS, DONE = "rows", "done"
"""States of a receipt: the rows are gone; the models follow, too."""
RECEIPT = "receipt"
FOLLOW, NO_MODELS = "follow with the next learn", "none were learned"
DAY = 86_400.0


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed where, and when. It names nobody: `subjects` are keyed digests of the ids."""

    id: str
    time: datetime
    subjects: tuple[str, ...]
    removed: dict[str, int]
    """{table: rows}."""
    memory: str = "states of shoppers dropped in every process, within 5 seconds"
    copies: int = 0
    """Files of the copy for analytics that were deleted."""
    models: str = FOLLOW
    snapshots: tuple[str, ...] = ()
    """Snapshots that still held an influence and were deleted."""
    state: str = ROWS
    followed: datetime | None = None
    signature: str = ""

    def unsigned(self) -> bytes:
        return msgspec.json.encode(msgspec.structs.replace(self, signature=""), order="sorted")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the ledger."""

    id: str
    time: float
    subjects: tuple[str, ...]
    key: int = 0
    """Fingerprint of the key that the digests were made with."""


class Erasures:
    """`shop.erasures`: forget somebody, look at receipts, apply the ledger again after a restore, keep to a retention.

    `reset` drops what is in memory beyond the states of shoppers (counts since the last learn); it may be slow.
    Without a folder there are no copies, no ledger and no ballast.
    """

    def __init__(
        self, folder: Path | None, privacy: Privacy, snapshots: Snapshots, *, reset: Callable[[], None] = lambda: None
    ) -> None:
        self._folder = folder
        self._privacy = privacy
        self._store = privacy.store
        self._snapshots = snapshots
        self._reset = reset
        self.ballast = Ballast(folder)

    # -- forgetting -----------------------------------------------------------------------------------------------

    def forget(self, user: str = "", *, session: str = "") -> Receipt:
        """Forget the shopper of this user id, under all ids and visits; or a guest by the visit. Raises StoreError."""
        if bool(user) == bool(session):
            raise BadRequest(
                "who is to be forgotten?",
                code="forget.who",
                where="forget",
                allowed="a user, or the session of a guest",
            )
        return self.ballast.spent_on(lambda: self._forget(user, session))

    def _forget(self, user: str, session: str) -> Receipt:
        privacy = self._privacy
        privacy.refresh()
        users, sessions = self._meant(user, session)
        moment = time.time()
        subjects = [privacy.border.digest("user", name) for name in users]
        subjects += [privacy.border.digest("session", name) for name in sessions]
        receipt = secrets.token_hex(16)
        self._write(Line(receipt, moment, tuple(subjects), privacy.secrets.fingerprint))
        self._store.bury(subjects, time=moment, erasure=receipt)
        if failpoints.ON:
            failpoints.reach("erasure.buried")
        privacy.changed(states=True)
        return self._erased(receipt, moment, tuple(subjects), (users, sessions))

    def _meant(self, user: str, session: str) -> tuple[list[str], list[str]]:
        """(users, visits) of whoever this is, as the store keeps them."""
        privacy = self._privacy
        if user:
            users = list(privacy.of_user(privacy.border.name("user", user)).users)
            return users, privacy.visits(users, limit=1_000_000) if privacy.settings.stitch else []
        visit = privacy.border.name("session", session)
        home = privacy.of_session(visit)
        if home.users:
            raise BadRequest(
                "this visit belongs to a shopper who was signed in",
                code="forget.visit",
                where="session",
                next="forget that user instead",
            )
        return [], [visit]

    def _erased(
        self, receipt: str, moment: float, subjects: tuple[str, ...], who: tuple[Sequence[str], Sequence[str]]
    ) -> Receipt:
        """Remove the rows of these users and visits, and keep the receipt."""
        removed = self._store.erase(*who)
        self._privacy.events.append([])  # batches that waited since before the tombstones are on disk now
        again = self._store.erase(*who)
        rows = {name: count + again.rows.get(name, 0) for name, count in removed.rows.items()}
        if failpoints.ON:
            failpoints.reach("erasure.rows")
        copies = self._forget_copies()
        self._privacy.changed(states=True)
        self._reset()
        learned = bool(self._snapshots.infos())
        made = Receipt(
            id=receipt,
            time=datetime.fromtimestamp(moment, UTC),
            subjects=subjects,
            removed=rows,
            copies=copies,
            models=FOLLOW if learned else NO_MODELS,
            state=ROWS if learned else DONE,
        )
        return self._keep(made)

    def _forget_copies(self) -> int:
        """Delete the columns that questions are asked about: they are made anew from what is left."""
        count = 0
        for path in (self._folder / ANALYTICS).glob("*.par*") if self._folder is not None else ():
            with contextlib.suppress(OSError):
                path.unlink()
                count += 1
        return count

    # -- receipts -------------------------------------------------------------------------------------------------

    def _keep(self, receipt: Receipt) -> Receipt:
        signed = msgspec.structs.replace(
            receipt, signature=self._privacy.secrets.sign(receipt.unsigned(), purpose=RECEIPT)
        )
        payload = msgspec.json.encode(signed, order="sorted")
        self._store.put_receipt(signed.id, time=signed.time.timestamp(), state=signed.state, payload=payload)
        return signed

    def receipt(self, name: str) -> Receipt | None:
        """One receipt, as it stands now."""
        payload = self._store.receipt(name)
        return None if payload is None else msgspec.json.decode(payload, type=Receipt)

    def receipts(self, *, limit: int = 100) -> list[Receipt]:
        """The newest first."""
        return [msgspec.json.decode(payload, type=Receipt) for _, payload in self._store.receipts(limit=limit)]

    def pending(self) -> int:
        """How many wait for the models to follow; looks and changes nothing."""
        return len(self._store.receipts(state=ROWS, limit=100_000))

    def genuine(self, receipt: Receipt) -> bool:
        """Was this receipt written here, and not changed since?"""
        return self._privacy.secrets.verify(receipt.unsigned(), receipt.signature, RECEIPT)

    # -- models ---------------------------------------------------------------------------------------------------

    def waiting(self) -> list[Receipt]:
        """Those whose models have yet to follow. Asked before a learn begins; who is forgotten meanwhile waits on."""
        if not self._privacy.state.buried:
            return []
        found = self._store.receipts(state=ROWS, limit=1_000_000)
        if found:  # what a learn that was killed left behind was made of their events, too
            shutil.rmtree(self._snapshots.workbench, ignore_errors=True)
        return [msgspec.json.decode(payload, type=Receipt) for _, payload in found]

    def followed(self, receipts: Sequence[Receipt], snapshot: str) -> None:
        """A snapshot was made of what is left: delete all from before, and say so in the receipts."""
        if not receipts:
            return
        gone = (*self._snapshots.prune(keep=1), *self._snapshots.sweep())
        now = datetime.now(UTC)
        for receipt in receipts:
            said = f"learned without them: snapshot {snapshot}"
            kept = msgspec.structs.replace(receipt, models=said, snapshots=gone, state=DONE, followed=now)
            self._keep(kept)

    # -- after a restore ------------------------------------------------------------------------------------------

    def _write(self, line: Line) -> None:
        if self._folder is None:
            return
        with (self._folder / LEDGER).open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _ledger(self) -> list[Line]:
        return [] if self._folder is None else _lines(self._folder / LEDGER)

    def reapply(self, ledger: Path | None = None) -> list[Receipt]:
        """Forget again whoever stands in the ledger: after a restore of a backup from before. Returns new receipts.

        Only digests stand there: every id that the store knows is digested and compared (2 us an id).
        """
        keys, border = self._privacy.secrets, self._privacy.border
        if ledger is not None:
            keys.adopt(ledger.parent / KEY_FILE)
        own = self._ledger()
        lines = own if ledger is None else _lines(ledger)
        if any(line.key != keys.fingerprint for line in lines):
            raise another_key(self._folder or Path())
        lines = [replace(line, subjects=tuple(border.subject(each) for each in line.subjects)) for line in lines]
        wanted = {subject: line for line in lines for subject in line.subjects}
        if not wanted:
            return []
        for line in lines:
            self._store.bury(line.subjects, time=line.time, erasure=line.id)
        found: dict[str, tuple[list[str], list[str]]] = {}
        for kind, names in zip(("user", "session"), self._store.names(), strict=True):
            for name in names:
                told = wanted.get(border.digest(kind, name))
                if told is not None:
                    found.setdefault(told.id, ([], []))[kind == "session"].append(name)
        self._privacy.changed(states=True)
        at = {line.id: line for line in lines}
        for name in at.keys() - {line.id for line in own}:
            self._write(at[name])
        return [self._again(at[name], who) for name, who in found.items()]

    def _again(self, line: Line, who: tuple[Sequence[str], Sequence[str]]) -> Receipt:
        return self.ballast.spent_on(lambda: self._erased(line.id, line.time, line.subjects, who))

    # -- retention ------------------------------------------------------------------------------------------------

    def retain(self, days: int | None = None, *, now: float | None = None) -> Erased:
        """Remove what is older than `privacy.keep_days`; 0 removes nothing."""
        kept = self._privacy.settings.keep_days if days is None else days
        if not kept:
            return Erased({})
        gone = self.ballast.spent_on(lambda: self._store.expire((time.time() if now is None else now) - kept * DAY))
        if gone.rows.get("events"):
            self._forget_copies()
            self._privacy.changed(states=True)
        return gone

    def daily(self) -> Erased | None:
        """`retain`, once a day among all processes that serve the shop; None where nothing was due."""
        if not self._privacy.settings.keep_days or not self._store.claim("retained", time.time(), DAY):
            return None
        return self.retain()


def _lines(ledger: Path) -> list[Line]:
    """The lines of a ledger; one that was cut off by a crash is left out (its erasure never began)."""
    rows = ledger.read_bytes().splitlines() if ledger.exists() else []
    return [msgspec.json.decode(row, type=Line) for row in rows if row.endswith(b"}")]


def facts(receipt: Receipt) -> dict[str, Any]:
    """A receipt as plain data, for people and machines."""
    told: dict[str, Any] = msgspec.to_builtins(receipt)
    return told
