"""How does a file become reviews? Columns recognised by their names, cleaned, stored, every row accounted for.

Any spelling in, exactly one `Review` or one dead letter with a reason out. What a reader may wonder about:
- stars are 1 to 5; "4/5", "80%" and "8 out of 10" are brought to that scale, 0 means that none were given;
- a review needs an item, and stars or words; a time ahead of our clock is refused, none at all is fine;
- words longer than `reviews.text_limit` are cut, a cell of more than 2,000,000 characters is refused unread;
- ids of shoppers pass through `mask` before anything else sees them, dead letters included.
Cost: 25 us a review. Not for: what they say, nor for who may be kept (`engine.reviews`).
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from bodega.catalog.text import clean_line, clean_text
from bodega.errors import BadFeed, TooManyBadRows
from bodega.feeds import RawRow, infer, open_feed, surprises
from bodega.feeds.mapping import plain
from bodega.feeds.values import parse_bool, parse_number, parse_time
from bodega.protocols import DeadLetterBox, ImportReport, NoProgress, Progress, Written
from bodega.schema import DeadLetter, Review
from bodega.settings import Settings

_NAMES = {
    "item": "item item_id product_id sku asin parent_asin productid product goods_id 商品编号 商品id 商品",
    "id": "id review_id reviewid comment_id 评论编号 评论id",
    "user": ("user user_id userid reviewer_id reviewerid customer_id reviewer author nickname buyer 用户id 用户 买家"),
    "stars": "stars rating rating_value star_rating overall score grade 评分 星级 打分",
    "title": "title review_title summary headline subject review_headline 标题",
    "text": (
        "text review review_text reviewtext review_body body content comment detail description 评论 评论内容 评价 内容"
    ),
    "language": "language lang locale 语言",
    "time": (
        "time created created_at date review_date timestamp unixreviewtime reviewtime submitted 时间 日期 评论时间"
    ),
    "verified": "verified verified_purchase verified_buyer is_verified 购买验证",
    "helpful": "helpful helpful_votes helpful_vote votes vote likes 有用 点赞数",
}
FIELDS: Final[Mapping[str, tuple[str, ...]]] = {name: tuple(names.split()) for name, names in _NAMES.items()}
"""{field of a review: names of columns that hold it, best first}."""

_FIELD_OF: Final = {plain(name): (field, rank) for field, names in FIELDS.items() for rank, name in enumerate(names)}
REASONS: Final[Mapping[str, str]] = {
    "unreadable": "the row could not be split into columns; mend its quotes or separators and import it again",
    "no_item": "a review says which item it is of; name its column `item`, or map it",
    "empty": "a review has stars or words",
    "bad_stars": "not stars; allowed: 1 to 5, also written 4/5, 80% or 8 out of 10; 0 or nothing where none were given",
    "bad_time": "not a time; allowed: ISO 8601, seconds or milliseconds since 1970, any whole date, or nothing",
    "future_time": "the time lies ahead of our clock; allowed: up to ingest.future_seconds (300 s)",
    "bad_helpful": "not a number of votes; allowed: a whole number from 0 to 1,000,000,000",
    "bad_text": "a text that cannot be kept: an id longer than 512 characters, a NUL in an id, or broken Unicode",
    "too_large": "the text is longer than 2,000,000 characters: no review is",
    "conflict": "a review of this id was written by somebody else",
    surprises.FAILED: surprises.WORDS,
}
"""Why a row may be refused: {code: words that teach}."""

CELL_LIMIT = 2_000_000
ID_LIMIT = 512
RAW_LIMIT = 2_000
FEWEST_ROWS = 100
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_OF = re.compile(r"\s*(\d+(?:[.,]\d+)?)\s*(?:/|out of|of|分?，?满分)\s*(\d+)\s*\w*\s*", re.IGNORECASE)
_PERCENT = re.compile(r"\s*(\d{1,3}(?:\.\d+)?)\s*%\s*")
_SIGNS = re.compile(r"[★☆⭐]+")


class Refused(Exception):
    """This row is no review, and why."""

    def __init__(self, reason: str, got: object = "") -> None:
        self.reason, self.got = reason, got


class Takes(Protocol):
    """Where a batch of reviews goes; `engine.reviews` fits."""

    def append(self, reviews: list[Review]) -> Written: ...


@dataclass(frozen=True, slots=True)
class ReviewOptions:
    """How to read a source of reviews. `mapping` is {our field: their column}; `mask` turns an id of a shopper into the
    one that is kept."""

    format: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    progress: Progress = field(default_factory=NoProgress)
    mask: Callable[[str], str] = field(default=lambda name: name)
    bad_rows_limit: float | None = None
    now: float | None = None


class ReviewReader:
    """Reads the rows of one feed."""

    def __init__(self, settings: Settings, mapping: Mapping[str, str] | None = None, *, mask: Callable[[str], str]):
        self._ahead = settings.ingest.future_seconds
        self._limit = settings.reviews.text_limit
        self._mapping = dict(mapping or {})
        self._mask = mask
        self._plans: dict[tuple[str, ...], dict[str, tuple[str, ...]]] = {}
        self._surprises = surprises.Surprises()

    def read(self, values: Mapping[str, object], *, now: float, source: str, line: int) -> Review | DeadLetter:
        """One row. Never raises for what is in the row."""
        try:
            return self._review(self._given(values), now)
        except Refused as refused:
            return self.letter(refused.reason, values, source=source, line=line)
        except Exception as error:
            self._surprises.note(error, line)
            return self.letter(surprises.FAILED, values, source=source, line=line)

    def letter(self, reason: str, values: Mapping[str, object], *, source: str, line: int) -> DeadLetter:
        """The row as it is kept aside: the columns we know, cut, ids masked."""
        plan = self._plan(tuple(map(str, values)))
        known = {column: name for name, columns in plan.items() for column in columns}
        raw = {name: self._shown(known[name], value) for name, value in values.items() if name in known}
        text = msgspec.json.encode(raw, enc_hook=str).decode("utf-8", "replace")
        return DeadLetter(
            kind="review",
            reason=reason,
            message=REASONS[reason],
            source=source,
            line=line,
            raw=text,
            time=datetime.now(UTC),
        )

    def _shown(self, name: str, value: object) -> object:
        if name == "user":
            try:
                return self._mask(_id(value))
            except Refused:
                return ""
        if isinstance(value, str):
            return value[:RAW_LIMIT].encode("utf-8", "replace").decode()
        return value if isinstance(value, int | float | bool) or value is None else str(value)[:200]

    def _plan(self, columns: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        plan = self._plans.get(columns)
        if plan is None:
            if len(self._plans) > 1_000:  # clients may send any names: do not grow without end
                self._plans.clear()
            plan = self._plans[columns] = _planned(columns, self._mapping)
        return plan

    def _given(self, values: Mapping[str, object]) -> dict[str, Any]:
        given: dict[str, Any] = {}
        for name, columns in self._plan(tuple(map(str, values))).items():
            for column in columns:
                value = values.get(column)
                if value is not None and value != "" and value == value:
                    given[name] = value
                    break
        return given

    def _review(self, given: Mapping[str, Any], now: float) -> Review:
        item = _id(given.get("item", ""))
        if not item:
            raise Refused("no_item")
        title, text = self._text(given.get("title"), 300), self._text(given.get("text"), self._limit)
        stars = _stars(given.get("stars"))
        if stars is None and not title and not text:
            raise Refused("empty")
        return Review(
            item=item,
            id=_id(given.get("id", "")),
            user=self._mask(_id(given.get("user", ""))),
            stars=stars,
            title=" ".join(title.split()),
            text=text,
            language=clean_line(str(given.get("language", ""))[:40], 20).lower(),
            time=self._time(given.get("time"), now),
            verified=_flag(given.get("verified")),
            helpful=_votes(given.get("helpful")),
        )

    def _text(self, value: object, limit: int) -> str:
        if value is None:
            return ""
        if isinstance(value, str) and len(value) > CELL_LIMIT:
            raise Refused("too_large")
        text = value if isinstance(value, str) else str(value)[:CELL_LIMIT]
        cleaned = clean_text(text.encode("utf-8", "replace").decode() if not text.isascii() else text, limit)
        return cleaned[:limit].strip()

    def _time(self, value: object, now: float) -> datetime | None:
        if value is None:
            return None
        try:
            found = parse_time(value)
        except ValueError as error:
            raise Refused("bad_time", str(error)) from None
        if found.timestamp() > now + self._ahead:
            raise Refused("future_time", found)
        if found < EARLIEST:
            raise Refused("bad_time", found)
        return found


def _planned(columns: tuple[str, ...], mapping: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """{field: the columns that may hold it, best first}."""
    taken = set(mapping.values())
    ranked: dict[str, list[tuple[int, str]]] = {name: [(-1, column)] for name, column in mapping.items()}
    for column in columns:
        name, rank = _FIELD_OF.get(plain(column), ("", 0)) if column not in taken else ("", 0)
        if name and name not in mapping:
            ranked.setdefault(name, []).append((rank, column))
    return {name: tuple(column for _, column in sorted(found)) for name, found in ranked.items()}


def _id(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = value.strip() if isinstance(value, str) else "" if value is None else str(value)
    if len(text) > ID_LIMIT or "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise Refused("bad_text", text[:60])
    return text


def _stars(value: object) -> float | None:
    """1 to 5, or None. Other scales are brought to ours where they say so themselves."""
    if value is None:
        return None
    if isinstance(value, str):
        text = value[:60]
        if found := _OF.fullmatch(text):
            most = float(found[2])
            value = float(found[1].replace(",", ".")) * 5 / most if most >= 5 else -1
        elif found := _PERCENT.fullmatch(text):
            value = float(found[1]) / 20
        elif _SIGNS.fullmatch(text.strip()):
            value = text.count("★") + text.count("⭐")
    try:
        stars = parse_number(value)
    except ValueError:
        raise Refused("bad_stars", value) from None
    if stars == 0:
        return None
    if not 0 < stars <= 5:
        raise Refused("bad_stars", value)
    return round(max(1.0, stars), 2)


def _flag(value: object) -> bool:
    try:
        return parse_bool(value)
    except ValueError:
        return False


def _votes(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, list) and value:  # [helpful, of all]: as one public set of reviews writes it
        value = value[0]
    try:
        votes = parse_number(value)
    except ValueError:
        raise Refused("bad_helpful", value) from None
    if not 0 <= votes <= 1e9:
        raise Refused("bad_helpful", value)
    return int(votes)


def import_reviews(
    source: Path | Iterable[Mapping[str, object]], to: Takes, dead: DeadLetterBox, options: ReviewOptions
) -> ImportReport:
    """Read all of `source`; rows that cannot be used go to `dead`. Raises BadFeed, TooManyBadRows."""
    started, now = time.perf_counter(), time.time() if options.now is None else options.now
    rows, form, mapping, notes, name = _opened(source, options)
    reader = ReviewReader(options.settings, mapping, mask=options.mask)
    counts, reasons, withheld = Counter[str](), Counter[str](), 0
    options.progress.start(f"reviews from {name}")
    stream = iter(rows)
    while batch := list(islice(stream, min(options.settings.ingest.batch, 1_000))):
        counts["rows"] += len(batch)
        reviews, letters = _sorted_out(batch, reader, now, name)
        reasons.update(letter.reason for letter in letters)
        if letters:
            dead.put(letters)
        _stop_if_too_bad(counts["rows"], reasons, name, options)
        if reviews:
            done = to.append(reviews)
            counts.update({"added": done.added, "changed": done.changed, "unchanged": done.unchanged})
            withheld += done.withheld
        options.progress.advance(len(batch))
    options.progress.finish()
    if withheld:
        notes.append(f"{withheld:,} reviews of shoppers who were forgotten since were not kept")
    return ImportReport(
        source=name,
        kind="reviews",
        format=form,
        rows=counts["rows"],
        added=counts["added"],
        changed=counts["changed"],
        unchanged=counts["unchanged"],
        dead=reasons.total(),
        reasons=dict(reasons.most_common()),
        mapping=mapping,
        notes=tuple(notes),
        seconds=time.perf_counter() - started,
    )


def _sorted_out(
    batch: Iterable[RawRow], reader: ReviewReader, now: float, name: str
) -> tuple[list[Review], list[DeadLetter]]:
    reviews: list[Review] = []
    letters: list[DeadLetter] = []
    for row in batch:
        found: Review | DeadLetter
        if row.error:
            found = reader.letter("unreadable", row.values, source=name, line=row.line)
        else:
            found = reader.read(row.values, now=now, source=name, line=row.line)
        if isinstance(found, Review):
            reviews.append(found)
        else:
            letters.append(found)
    return reviews, letters


def _stop_if_too_bad(rows: int, reasons: Counter[str], name: str, options: ReviewOptions) -> None:
    limit = options.settings.ingest.bad_rows_limit if options.bad_rows_limit is None else options.bad_rows_limit
    if rows < FEWEST_ROWS or reasons.total() <= limit * rows:
        return
    raise TooManyBadRows(
        f"{reasons.total():,} of the first {rows:,} rows cannot be used",
        where=name,
        allowed=f"a share of {limit:.0%} (ingest.bad_rows_limit)",
        got=", ".join(f"{reason} {count:,}" for reason, count in reasons.most_common(4)),
        next="look at them with `bodega events dead --kind review`; correct the file or give a mapping",
    )


def _opened(
    source: Path | Iterable[Mapping[str, object]], options: ReviewOptions
) -> tuple[Iterable[RawRow], str, dict[str, str], list[str], str]:
    """(rows, format, mapping, notes, name)."""
    if not isinstance(source, Path):
        return _numbered(source), "rows", dict(options.mapping), [], "rows"
    feed = open_feed(source, format=options.format)
    unknown = [name for name in options.mapping if name not in FIELDS]
    unknown += [column for column in options.mapping.values() if column not in feed.columns]
    mapping = {**infer(feed.columns, feed.sample(), FIELDS), **options.mapping}
    if unknown or "item" not in mapping:
        raise BadFeed(
            "the mapping names a field or a column that is not there" if unknown else "no column names the item",
            where=source.name,
            allowed=f"fields: {', '.join(FIELDS)}; columns: {', '.join(feed.columns)}",
            got=", ".join(unknown) or "none of the names we know",
            next="give the mapping as {our field: their column}, e.g. --map item=sku",
        )
    return feed, feed.format, mapping, list(feed.notes), source.name


def _numbered(rows: Iterable[object]) -> Iterator[RawRow]:
    for line, row in enumerate(rows, 1):
        if isinstance(row, Mapping):
            yield RawRow(line, dict(row))
        else:
            yield RawRow(line, {}, f"a mapping was expected, this is a {type(row).__name__}")
