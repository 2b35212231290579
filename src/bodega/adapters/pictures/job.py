"""What do the items' pictures show? Reads, decodes and encodes what is new, and keeps it: `bodega pictures`.

    references -> [unchanged? known bytes? refused before?] -> bytes -> pixels -> vectors -> book

A batch of 64 is durable before the next one is begun, so that a killed run goes on where it was. What cannot be used is
a dead letter with a reason, once: it is not read again before it changes. What may pass by itself (a server that was
away) is asked for again by the next run. Nothing here stops for one bad picture.
Cost: some 20 to 40 ms a new picture, most of it encoding; 10 us an unchanged one.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from bodega.adapters.pictures.fetch import AWAY
from bodega.adapters.pictures.references import References
from bodega.adapters.pictures.store import Entry, PictureBook, digest_of
from bodega.engine.gallery import PictureReport
from bodega.errors import BadPicture
from bodega.protocols import DeadLetterBox, ImageEncoder, NoProgress, Pixels, Progress
from bodega.schema import DeadLetter, Item
from bodega.settings import Pictures
from bodega.understanding.image import Limits, decode
from bodega.understanding.image.likeness import difference_hash

BATCH = 64
REFUSED = "refused.jsonl"
KIND = "picture"
"""Of dead letters."""


@dataclass(frozen=True, slots=True)
class Work:
    """Whose pictures, by what, with which settings."""

    shop: Path
    chosen: Pictures
    encoder: ImageEncoder
    dead: DeadLetterBox
    again: bool = False
    """Read everything anew, also what seems unchanged or was refused."""


def read_pictures(work: Work, items: Iterable[Item], progress: Progress | None = None) -> PictureReport:
    """Bring the book of the encoder up to date. Raises StoreError."""
    began, progress = time.perf_counter(), progress or NoProgress()
    named = _named(items, work.chosen.per_item)
    book = PictureBook(work.shop, work.encoder.info)
    run = _Run(work, book)
    if PictureBook(work.shop).info is None:
        book.use()  # the first book is in use while it fills; a later one when it is whole
    references = sorted(named.owner)
    todo = run.todo(references)
    progress.start(f"read pictures with {work.encoder.info.name}", len(todo))
    with ThreadPoolExecutor(work.chosen.connections, thread_name_prefix="bodega-pictures") as pool:
        for start in range(0, len(todo), BATCH):
            batch = todo[start : start + BATCH]
            run.take(list(pool.map(run.look, batch)), named)
            progress.advance(len(batch))
    progress.finish()
    book.use()
    run.mend(references)
    there = book.has(references)
    pictured = {item for one, seen in zip(references, there, strict=True) if seen for item in named.owners[one]}
    return PictureReport(
        encoder=work.encoder.info,
        items=named.items,
        pictured=len(pictured),
        pictures=len(references),
        encoded=run.encoded,
        known=run.known,
        unchanged=len(references) - len(todo) - run.skipped,
        refused=sum(run.reasons.values()) - run.away,
        away=run.away,
        reasons=dict(sorted(run.reasons.items())),
        seconds=round(time.perf_counter() - began, 2),
    )


@dataclass(slots=True)
class _Named:
    """Which pictures items name."""

    items: int = 0
    owner: dict[str, str] = field(default_factory=dict)
    """{reference: the first item that names it}."""
    owners: dict[str, list[str]] = field(default_factory=dict)


def _named(items: Iterable[Item], most: int) -> _Named:
    named = _Named()
    for item in items:
        named.items += 1
        for reference in item.images[:most]:
            named.owner.setdefault(reference, item.id)
            named.owners.setdefault(reference, []).append(item.id)
    return named


class _Refusal(msgspec.Struct, frozen=True):
    """One line of the list of what cannot be used."""

    reference: str
    """Digest, hexadecimal."""
    stamp: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """One reference, looked at."""

    reference: str
    stamp: int
    content: bytes = b""
    pixels: Pixels | None = None
    problem: BadPicture | None = None


class _Run:
    """The state of one run."""

    def __init__(self, work: Work, book: PictureBook) -> None:
        self.work, self.book = work, book
        self.sources = References(work.shop, work.chosen)
        self.limits = Limits(work.chosen.bytes_limit, work.chosen.pixels_limit)
        self.encoded = self.known = self.away = self.skipped = 0
        self.reasons: Counter[str] = Counter()
        self.before = {(one.reference, one.stamp): one.reason for one in _refusals(book.folder / REFUSED)}

    def todo(self, references: Sequence[str]) -> list[str]:
        """What must be read: not there, changed since, or refused for a reason that may have passed."""
        todo = []
        for reference, kept in zip(references, self.book.stamps(references), strict=True):
            stamp = self.sources.stamp(reference)
            reason = self.before.get((digest_of(reference).hex(), stamp), "")
            if self.work.again or (kept != stamp and (not reason or reason in AWAY)):
                todo.append(reference)
            elif kept != stamp:
                self.reasons[reason] += 1
                self.skipped += 1
        return todo

    def look(self, reference: str) -> _Seen:
        """Read and decode one; runs in a thread, never raises for a bad picture."""
        stamp = self.sources.stamp(reference)
        try:
            data = self.sources.read(reference)
            content = hashlib.sha256(data).digest()[:16]
            return _Seen(reference, stamp, content, decode(data, self.limits))
        except BadPicture as problem:
            return _Seen(reference, stamp, problem=problem)

    def take(self, batch: Sequence[_Seen], named: _Named) -> None:
        """Encode and keep a batch."""
        good = [one for one in batch if one.pixels is not None]
        before = self.book.by_content([one.content for one in good])
        rows = {one.content: row for one, row in zip(good, before, strict=True) if row is not None}
        fresh = list({one.content: one for one in good if one.content not in rows}.values())
        if fresh:
            vectors = self.work.encoder.encode([one.pixels for one in fresh if one.pixels is not None])
            rows |= {one.content: row for one, row in zip(fresh, np.asarray(vectors, np.float32), strict=True)}
        self.encoded += len(fresh)
        self.known += len(good) - len(fresh)
        self.book.append(
            [
                Entry(one.reference, one.stamp, one.content, difference_hash(one.pixels), rows[one.content])
                for one in good
                if one.pixels is not None
            ]
        )
        self._refuse([one for one in batch if one.problem is not None], named)

    def _refuse(self, bad: Sequence[_Seen], named: _Named) -> None:
        letters, lines = list[DeadLetter](), list[_Refusal]()
        for one in bad:
            assert one.problem is not None
            reason, found = one.problem.reason, digest_of(one.reference).hex()
            self.reasons[reason] += 1
            self.away += reason in AWAY
            if self.before.get((found, one.stamp)) == reason:
                continue  # told before
            self.before[found, one.stamp] = reason
            lines.append(_Refusal(found, one.stamp, reason))
            letters.append(_letter(one.reference, named.owner[one.reference], one.problem))
        if letters:
            self.work.dead.put(letters)
            _append(self.book.folder / REFUSED, lines)

    def mend(self, references: Sequence[str]) -> None:
        """Take back the letters of pictures that could be read since."""
        letters = self.work.dead.list(kind=KIND, limit=100_000)
        if not letters:
            return
        there = {one for one, seen in zip(references, self.book.has(references), strict=True) if seen}
        read = {one[:1_000] for one in there}
        mended = [one for one in letters if msgspec.json.decode(one.raw).get("image") in read]
        if mended:
            self.work.dead.remove(mended)


def _letter(reference: str, item: str, problem: BadPicture) -> DeadLetter:
    told = [problem.what] + [
        f"{name}: {text}" for name, text in (("allowed", problem.allowed), ("got", problem.got)) if text
    ]
    raw = msgspec.json.encode({"item": item, "image": reference[:1_000]}).decode()
    return DeadLetter(kind=KIND, reason=problem.reason, message="; ".join(told), source="pictures", raw=raw)


def _refusals(path: Path) -> Iterator[_Refusal]:
    """What was refused before; a line that a kill cut is as if it had never been."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=_Refusal)
        except msgspec.MsgspecError:
            continue


def _append(path: Path, lines: Sequence[_Refusal]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        stream.write(b"\n" + b"\n".join(msgspec.json.encode(one) for one in lines) + b"\n")
