"""`shop.office.clinic`: the catalog examined as a job, its result kept in the shop's folder for a console to browse.

    items -> findability     a score of every item and of the shop (`catalog.findability`)
          -> diagnosis       what `bodega doctor` says: findings with examples and fixes
          -> twins           products whose titles, or whose pictures, are nearly the same
          -> offenders       the worst items overall and of each part, `KEPT` of each, with what to do

Each sampled title is searched in the shop's own search by a request of nobody, which leaves no trace in any log. Items
that were shown or chosen are read from the events of the last `DAYS` days before the newest one.
Cost: 92,000 items and 1,500 searches about a minute and a half beside the pages. Not for: mending anything.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from bodega.catalog.doctor import Diagnosis, Finding, examine
from bodega.catalog.findability import NEAR, Findability, ItemScore, ShopScore, shop_score, worst_first
from bodega.engine.office.jobs import Job, JobState, counted
from bodega.engine.office.shop import OfficeShop, newest_event, searcher
from bodega.protocols import Progress
from bodega.understanding.near_titles import Titled, near_titles

KEPT = 500
"""Items kept of each list of offenders."""
SAMPLE, MOST_SAMPLE = 1_000, 20_000
"""Titles that are looked up, when nobody says how many; and at most."""
TWINS, MEMBERS = 500, 20
"""Groups that are kept, and items of each that are named."""
DAYS = 90


class TwinItem(msgspec.Struct, frozen=True):
    """One of several that are nearly the same; `picture` names the picture where pictures are."""

    id: str
    title: str
    price: float | None = None
    picture: str = ""


class Twins(msgspec.Struct, frozen=True):
    """Products that are nearly the same: by `title` or by `picture`."""

    by: str
    likeness: float
    items: tuple[TwinItem, ...]
    """At most `MEMBERS` of them."""
    size: int = 0
    """How many there are."""


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """What the clinic found."""

    time: float
    """When it ended, seconds since 1970 UTC."""
    seconds: float
    n_items: int
    looked_up: int
    """Items whose own title was searched."""
    shop: ShopScore
    diagnosis: Diagnosis
    offenders: dict[str, tuple[ItemScore, ...]]
    """{"all" or a part: the worst items}."""
    counts: dict[str, int]
    """{part: items that lose something by it}."""
    twins: tuple[Twins, ...]
    twin_groups: dict[str, int]
    """{"title", "picture": how many groups there are}; `twins` holds the largest."""


class Offenders(msgspec.Struct, frozen=True):
    """A page of worst items."""

    part: str
    total: int
    """How many are kept of this list."""
    items: tuple[ItemScore, ...]


class Clinic:
    """The catalog's doctor, for a console."""

    def __init__(self, shop: OfficeShop, home: Path) -> None:
        self._shop = shop
        self._job = Job(home, "clinic", Examined)

    def state(self) -> JobState:
        return self._job.state()

    def result(self) -> Examined | None:
        """The last examination."""
        return self._job.result()

    def start(self, sample: int = SAMPLE) -> bool:
        """Begin an examination; False where one is under way. `sample`: titles to look up. Raises StoreError."""
        return self._job.start(lambda progress: self.examine(progress, sample))

    def run(self, sample: int = SAMPLE) -> Examined | None:
        """The same, waited for."""
        return self._job.run(lambda progress: self.examine(progress, sample))

    def offenders(self, part: str = "all", *, text: str = "", limit: int = KEPT) -> Offenders:
        """The worst items, overall or of one part, whose id, title or category holds the text."""
        found = self.result()
        held = found.offenders.get(part, ()) if found is not None else ()
        wanted = text.casefold()
        rows = [one for one in held if not wanted or wanted in f"{one.id}\n{one.title}\n{one.category}".casefold()]
        return Offenders(part, len(rows), tuple(rows[:limit]))

    def examine(self, progress: Progress, sample: int = SAMPLE) -> Examined:
        """Look at everything. Same shop, same findings (only the times differ)."""
        began, shop = time.time(), self._shop
        scoring, titled = Findability(shop.settings.kinds), list[Titled]()
        progress.start("read the catalog")
        for item in counted(progress, shop.stores.catalog.scan()):
            scoring.saw(item)
            titled.append(Titled.of(item))
        progress.finish()
        looked_up = self._look_up(scoring, min(sample, MOST_SAMPLE), progress)
        self._say_shown(scoring, progress)
        scores = scoring.close()
        progress.start("look for twins")
        twins, groups = self._twins(titled)
        progress.finish()
        progress.start("examine the catalog")
        diagnosis = self._diagnosis()
        progress.finish()
        return Examined(
            time=time.time(),
            seconds=round(time.time() - began, 1),
            n_items=len(scores),
            looked_up=looked_up,
            shop=shop_score(scores),
            diagnosis=diagnosis,
            offenders=_offenders(scores),
            counts={name: sum(one.parts.get(name, 1.0) < 1 for one in scores) for name in _names(scores)},
            twins=twins,
            twin_groups=groups,
        )

    def _look_up(self, scoring: Findability, sample: int, progress: Progress) -> int:
        """Search a sample of the items by their own titles: the same items for the same catalog."""
        search = searcher(self._shop)
        if search is None or not sample:
            return 0
        titled = [row for row, (_, title, _) in enumerate(scoring.items) if title]
        rows = sorted(titled, key=lambda row: zlib.crc32(scoring.items[row][0].encode("utf-8", "replace")))[:sample]
        progress.start("look items up by their own titles", len(rows))
        places: dict[int, int | None] = {}
        for row in rows:
            name, title, _ = scoring.items[row]
            hits = search(title, NEAR)
            places[row] = hits.index(name) if name in hits else None
            progress.advance()
        scoring.tell_found(places)
        progress.finish()
        return len(rows)

    def _say_shown(self, scoring: Findability, progress: Progress) -> None:
        """Which items somebody saw or chose; nothing where nothing happened yet."""
        progress.start("read what was shown and chosen")
        newest = newest_event(self._shop)
        shown: set[str] = set()
        for rows in self._shop.stores.events.since(newest - DAYS * 86_400.0):
            shown.update(rows.item)
        if shown:
            scoring.tell_shown(shown)
        progress.finish()

    def _twins(self, titled: Sequence[Titled]) -> tuple[tuple[Twins, ...], dict[str, int]]:
        same = near_titles(titled)
        found = [
            Twins(
                "title",
                group.likeness,
                tuple(TwinItem(one.id, one.title, one.price) for one in group.members[:MEMBERS]),
                len(group.members),
            )
            for group in same[:TWINS]
        ]
        looks = [] if self._shop.gallery is None else self._shop.gallery.duplicates()
        named: Mapping[str, Titled] = {one.id: one for one in titled} if looks else {}
        for group in looks[:TWINS]:
            members = [
                TwinItem(one.owner, named[one.owner].title, named[one.owner].price, one.reference)
                for one in group[:MEMBERS] if one.owner in named
            ]  # fmt: skip
            if len(members) > 1:
                found.append(Twins("picture", 1.0, tuple(members), len(group)))
        return tuple(found), {"title": len(same), "picture": len(looks)}

    def _diagnosis(self) -> Diagnosis:
        shop = self._shop
        search = searcher(shop)
        found = examine(shop.stores.catalog.scan(), search, shop.settings.kinds)
        more: tuple[Finding, ...] = shop.knowledge.findings(found.n_items)
        if shop.gallery is not None:
            more += shop.gallery.findings(found.n_items)
        return msgspec.structs.replace(found, findings=(*found.findings, *more)) if more else found


def _names(scores: Iterable[ItemScore]) -> list[str]:
    return sorted({name for one in scores for name in one.parts})


def _offenders(scores: Sequence[ItemScore]) -> dict[str, tuple[ItemScore, ...]]:
    ranked = worst_first(scores)
    out = {"all": tuple(one for one in ranked if one.score < 100)[:KEPT]}
    for name in _names(scores):
        lacking = sorted((one for one in ranked if one.parts.get(name, 1.0) < 1), key=lambda one: one.parts[name])
        out[name] = tuple(lacking[:KEPT])
    return out
