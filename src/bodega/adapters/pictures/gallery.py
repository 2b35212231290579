"""The pictures of a shop's items, as the shop asks for them (`engine.gallery.Gallery`).

`look` is the job; `duplicates` and `findings` read what it kept; `teach` makes a network of the shop's own.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import msgspec

from bodega.adapters.pictures.job import KIND, Work, read_pictures
from bodega.adapters.pictures.references import References
from bodega.adapters.pictures.store import PictureBook
from bodega.catalog.doctor import Example, Finding
from bodega.engine.gallery import SILENT, PictureReport
from bodega.errors import BadPicture
from bodega.protocols import CatalogStore, DeadLetterBox, EncoderInfo, Pixels, Progress
from bodega.schema import DeadLetter
from bodega.settings import Pictures
from bodega.understanding.image import Limits, decode, open_image_encoder
from bodega.understanding.image.likeness import Look, same_pictures
from bodega.understanding.image.opening import OWN

MOST_PHOTOS = 10_000
"""For teaching a network: 49 kB each in memory."""
SHOWN = 5


class PictureGallery:
    """Implements `engine.gallery.Gallery`."""

    def __init__(self, shop: Path, chosen: Pictures, catalog: CatalogStore, dead: DeadLetterBox) -> None:
        self._shop, self._chosen, self._catalog, self._dead = shop, chosen, catalog, dead

    def look(self, progress: Progress = SILENT, *, again: bool = False) -> PictureReport:
        """Read, encode and keep what is new. Raises BadSettings, MissingExtra, StoreError."""
        encoder = open_image_encoder(self._chosen, self._shop)
        return read_pictures(Work(self._shop, self._chosen, encoder, self._dead, again), self._catalog.scan(), progress)

    def duplicates(self) -> list[tuple[Look, ...]]:
        """Groups of pictures that items of different variant groups share, largest first."""
        book, most = PictureBook(self._shop), self._chosen.per_item
        if book.info is None:
            return []
        named = [(one, item.id, item.group or item.id) for item in self._catalog.scan() for one in item.images[:most]]
        found = book.looks([one for one, _, _ in named])
        looks = [
            Look(one, item, family, told[0], told[1])
            for (one, item, family), told in zip(named, found, strict=True)
            if told is not None
        ]
        return same_pictures(looks, book)

    def findings(self, n_items: int) -> tuple[Finding, ...]:
        """What the doctor should say of them; nothing where they were never looked at."""
        if PictureBook(self._shop).info is None:
            return ()
        letters = self._dead.list(kind=KIND, limit=100_000)
        groups = self.duplicates()
        told = [
            _lost([one for one in letters if one.reason in _MISSING], "missing_picture", n_items),
            _lost([one for one in letters if one.reason not in _MISSING], "unreadable_picture", n_items),
            _same(groups, n_items),
        ]
        return tuple(one for one in told if one is not None)

    def teach(self, progress: Progress = SILENT) -> tuple[EncoderInfo, Path]:
        """Teach a network from the shop's photos; (which, where). Raises NoEvidence, MissingExtra."""
        from bodega.understanding.image._own_training import train_own

        pixels, labels = self.photos(progress)
        encoder = train_own(pixels, labels, progress=progress)
        folder = self._shop / OWN
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix="own-", dir=folder.parent))
        encoder.save(made)
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
        return encoder.info, folder

    def photos(self, progress: Progress = SILENT) -> tuple[list[Pixels], list[str]]:
        """(the first picture of each item, its category); small, so that many fit into memory."""
        sources = References(self._shop, self._chosen)
        limits = Limits(self._chosen.bytes_limit, self._chosen.pixels_limit, long_side=128)
        pixels, labels = list[Pixels](), list[str]()
        progress.start("read photos")
        for item in self._catalog.scan():
            if item.images and len(pixels) < MOST_PHOTOS:
                try:
                    pixels.append(decode(sources.read(item.images[0]), limits))
                    labels.append(" > ".join(item.category))
                except BadPicture:
                    continue
                progress.advance()
        progress.finish()
        return pixels, labels


_MISSING = ("missing", "gone", "unreachable", "timeout", "server_error", "empty")
_TOLD = {
    "missing_picture": ("pictures that are not there", "put the file or the address right; then bodega pictures"),
    "unreadable_picture": ("pictures that cannot be used", "replace them by JPEG, PNG or WebP; then bodega pictures"),
}


def _lost(letters: list[DeadLetter], code: str, n_items: int) -> Finding | None:
    """A finding of dead letters: which items name what cannot be read, and why."""
    first: dict[str, tuple[str, str]] = {}
    for letter in letters:
        told = msgspec.json.decode(letter.raw)
        first.setdefault(str(told["item"]), (str(told["image"]), letter.reason))
    if not first:
        return None
    title, fix = _TOLD[code]
    shown = tuple(Example(item, image[:100], reason) for item, (image, reason) in list(first.items())[:SHOWN])
    return Finding(code=code, severity="warning", title=title, count=len(first), of=n_items, examples=shown, fix=fix)


def _same(groups: list[tuple[Look, ...]], n_items: int) -> Finding | None:
    owners = {look.owner for group in groups for look in group}
    if not owners:
        return None
    shown = tuple(
        Example(
            group[0].owner, group[0].reference[:100], f"also {', '.join(sorted({one.owner for one in group[1:]})[:3])}"
        )
        for group in groups[:SHOWN]
    )
    return Finding(
        code="duplicate_picture",
        severity="note",
        title="items that show the same picture as another",
        count=len(owners),
        of=n_items,
        examples=shown,
        fix="give each its own picture, or one variant group; bodega pictures --duplicates shows all",
    )
