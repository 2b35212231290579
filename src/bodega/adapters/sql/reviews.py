"""What did shoppers write of items, durably? One row a review, replaced when it is written anew.

A page of a product's reviews is one look into an index by (item, time); which of them are shown is decided by two
columns, the flags that were found and the verdict of the merchant, so that counts and pages agree at every moment.
Cost: .1 ms a page of an item with some hundred reviews; importing 15 k reviews a CPU second.
Not for: what they say (`understanding.reviews`), nor who may write them (`engine.reviews`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, cast

import msgspec
from sqlalchemy import Connection, and_, bindparam, case, delete, func, or_, select, update

from bodega.adapters.sql.database import AT_ONCE, Database
from bodega.adapters.sql.tables import META, REVIEWS
from bodega.errors import BadRequest
from bodega.protocols import Written
from bodega.schema.reviews import KeptReview, Review, ReviewSort, ReviewStats, Verdict, named

_SCAN = 2_000
_PART = 500
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_C = REVIEWS.c
_SHOWN = or_(_C.verdict == "keep", and_(_C.verdict == "", _C.flags == ""))
_CONTENT = ("item_id", "user_id", "time", "dated", "stars", "title", "text", "language", "verified", "helpful")
_encode = msgspec.msgpack.Encoder().encode


class SqlReviews:
    """Implements `protocols.ReviewStore`. Every write is durable when it returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def upsert(self, reviews: Sequence[Review], *, own: bool = False, now: float | None = None) -> Written:
        """Add or replace; of several with one id the last counts. Raises BadRequest for what cannot be kept."""
        moment = round((time.time() if now is None else now) * 1e6)
        rows = {review.id: review for review in map(named, reviews)}
        made = {name: _row(review, moment) for name, review in rows.items()}
        return self._database.write(lambda connection: self._upsert(connection, rows, made, len(reviews), own=own))

    def get(self, ids: Sequence[str]) -> dict[str, KeptReview]:
        with self._database.reading(AT_ONCE) as connection:
            rows = self._database.look_up(connection, list(REVIEWS.columns), _C.id, list(dict.fromkeys(ids)))
            return {row[0]: _kept(row) for row in rows}

    def delete(self, ids: Sequence[str]) -> int:
        with self._database.writing() as connection:
            count = sum(
                connection.execute(delete(REVIEWS).where(_C.id.in_(part))).rowcount for part in _parts(list(set(ids)))
            )
            _number(connection, count)
        return count

    def page(
        self, item: str, *, sort: ReviewSort = "newest", stars: int = 0, limit: int = 10, offset: int = 0
    ) -> tuple[int, list[KeptReview]]:
        where = and_(_C.item_id == item, _SHOWN)
        if stars:
            low, high = (stars - 0.5, stars + 0.5)
            where = and_(where, _C.stars >= (0 if stars == 1 else low), _C.stars < (99 if stars == 5 else high))
        order = {
            "newest": (),
            "helpful": (_C.helpful.desc(), case((_C.verified, 1), else_=0).desc()),
            "highest": (func.coalesce(_C.stars, -1).desc(), _C.helpful.desc()),
            "lowest": (func.coalesce(_C.stars, 99), _C.helpful.desc()),
        }[sort]
        query = select(REVIEWS).where(where).order_by(*order, _C.time.desc(), _C.id)
        with self._database.reading(AT_ONCE) as connection:
            total = connection.scalar(select(func.count()).select_from(REVIEWS).where(where)) or 0
            rows = connection.execute(query.limit(max(limit, 0)).offset(max(offset, 0))).all()
        return int(total), [_kept(row) for row in rows]

    def stats(self, item: str) -> ReviewStats:
        counted = select(_C.stars, func.count()).where(_C.item_id == item, _SHOWN).group_by(_C.stars)
        counted = counted.order_by(_C.stars)
        with self._database.reading(AT_ONCE) as connection:
            found = {stars: int(count) for stars, count in connection.execute(counted)}
            every = connection.scalar(select(func.count()).select_from(REVIEWS).where(_C.item_id == item)) or 0
        return ReviewStats.of(found, int(every) - sum(found.values()))

    def scan(self) -> Iterator[KeptReview]:
        query = select(*REVIEWS.columns).order_by(_C.item_id, _C.time, _C.id)
        for rows in self._database.stream(query, _SCAN):
            yield from map(_kept, rows)

    def texts(self) -> Iterator[tuple[str, str]]:
        query = select(_C.item_id, _C.title, _C.text).where(_SHOWN, or_(_C.text != "", _C.title != ""))
        for rows in self._database.stream(query.order_by(_C.item_id, _C.time, _C.id), _SCAN):
            for item, title, text in rows:
                yield item, Review(item=item, title=title, text=text).words

    def flagged(self, *, limit: int = 50, offset: int = 0) -> list[KeptReview]:
        query = select(REVIEWS).where(or_(_C.flags != "", _C.verdict != "")).order_by(_C.time.desc(), _C.id)
        with self._database.reading() as connection:
            return [_kept(row) for row in connection.execute(query.limit(max(limit, 0)).offset(max(offset, 0)))]

    def flag(self, flags: Mapping[str, Sequence[str]]) -> int:
        wanted = {name: ",".join(sorted(set(reasons))) for name, reasons in flags.items()}
        return self._set(_C.flags, wanted)

    def decide(self, ids: Sequence[str], verdict: Verdict) -> int:
        return self._set(_C.verdict, dict.fromkeys(ids, str(verdict)))

    def of_user(self, users: Sequence[str]) -> list[KeptReview]:
        named = [name for name in dict.fromkeys(users) if name]
        with self._database.reading() as connection:
            rows = [
                row for part in _parts(named) for row in connection.execute(select(REVIEWS).where(_C.user_id.in_(part)))
            ]
        return sorted((_kept(row) for row in rows), key=lambda kept: (kept.arrived, kept.review.id))

    def count(self) -> int:
        with self._database.reading() as connection:
            return int(connection.scalar(select(func.count()).select_from(REVIEWS)) or 0)

    def cursor(self) -> int:
        with self._database.reading(AT_ONCE) as connection:
            return int(connection.scalar(select(META.c.value).where(META.c.name == "review_seq")) or 0)

    def _upsert(
        self, connection: Connection, rows: Mapping[str, Review], made: Mapping[str, tuple[Any, ...]], given: int, *,
        own: bool,
    ) -> Written:  # fmt: skip
        columns = (_C.id, _C.digest, _C.user_id, _C.time, _C.dated)
        held = {each[0]: each for each in self._database.look_up(connection, columns, _C.id, list(rows))}
        fresh, changed, conflicts = [], [], []
        for name, row in made.items():
            known = held.get(name)
            if known is None:
                fresh.append(row)
            elif bytes(known[1]) == row[1]:
                continue
            elif own and (not known[2] or known[2] != rows[name].user):
                conflicts.append(name)
            else:
                changed.append(_revised(row, known))
        newest = _number(connection, len(fresh) + len(changed))
        first = newest - len(fresh) + 1
        self._database.insert_new(
            connection, REVIEWS, [(row[0], first + at, *row[1:], "", "") for at, row in enumerate(fresh)]
        )
        if changed:
            statement = update(REVIEWS).where(_C.id == bindparam("of")).values(digest=bindparam("as"), flags="")
            connection.execute(statement.values({name: bindparam(f"to_{name}") for name in _CONTENT}), changed)
        unchanged = given - len(fresh) - len(changed) - len(conflicts)
        return Written(added=len(fresh), changed=len(changed), unchanged=unchanged, conflicts=tuple(conflicts))

    def _set(self, column: Any, wanted: Mapping[str, str]) -> int:
        """Write one column of these reviews where it says something else; how many that were."""
        by_value: dict[str, list[str]] = {}
        for name, value in wanted.items():
            by_value.setdefault(value, []).append(name)
        count = 0
        with self._database.writing() as connection:
            for value, names in sorted(by_value.items()):
                for part in _parts(names):
                    where = and_(_C.id.in_(part), column != value)
                    count += connection.execute(update(REVIEWS).where(where).values({column: value})).rowcount
            _number(connection, count)
        return count


def own_id(row: Any, user: str | None = None) -> str:
    """The id that a stored row has where it brought none (written by `user`, where given)."""
    review = _kept(row).review
    return named(msgspec.structs.replace(review, id="", user=review.user if user is None else user)).id


def _row(review: Review, moment: int) -> tuple[Any, ...]:
    """The review as it is kept, without its number, flags and verdict. Raises BadRequest."""
    texts = (review.id, review.item, review.user, review.title, review.text, review.language)
    try:
        "".join(texts).encode()
        when = None if review.time is None else (review.time - _EPOCH) // _MICROSECOND
        stars = None if review.stars is None or review.stars != review.stars else float(review.stars)
        content = (*texts[1:], when, stars, review.verified, review.helpful)
        digest = blake2b(_encode(content), digest_size=16).digest()
    except (TypeError, ValueError, OverflowError) as error:
        raise _not_kept(review, str(error)) from error
    if not review.item or "\0" in "".join(texts) or not 0 <= review.helpful < 2**31:
        raise _not_kept(review, f"item {review.item!r:.60}, helpful {review.helpful}")
    return (
        review.id,
        digest,
        review.item,
        review.user,
        moment if when is None else when,
        when is not None,
        stars,
        review.title,
        review.text,
        review.language,
        review.verified,
        review.helpful,
    )


def _revised(row: tuple[Any, ...], held: Sequence[Any]) -> dict[str, Any]:
    """The parameters of an update; a review without a time of its own stays when it came."""
    values = {f"to_{name}": value for name, value in zip(_CONTENT, row[2:], strict=True)}
    if not values["to_dated"]:
        values["to_time"], values["to_dated"] = held[3], bool(held[4])
    return values | {"of": row[0], "as": row[1]}


def _not_kept(review: Review, got: str) -> BadRequest:
    return BadRequest(
        "this review cannot be kept",
        where=f"review {review.id!r:.80}",
        allowed="an item, text in Unicode without NUL characters, helpful votes from 0",
        got=got,
        next="mend the review, or import it through shop.reviews.add, which keeps bad rows apart",
    )


def _kept(row: Sequence[Any]) -> KeptReview:
    name, number, _, item, user, moment, dated, stars, title, text, language, verified, helpful, flags, verdict = row
    review = Review(
        id=name,
        item=item,
        user=user,
        stars=stars,
        title=title,
        text=text,
        language=language,
        time=_EPOCH + timedelta(microseconds=moment) if dated else None,
        verified=bool(verified),
        helpful=helpful,
    )
    told = tuple(flags.split(",")) if flags else ()
    return KeptReview(review=review, number=number, arrived=moment / 1e6, flags=told, verdict=cast("Verdict", verdict))


def _number(connection: Connection, changes: int) -> int:
    """Take the next `changes` numbers; returns the last of them."""
    if changes:
        counter = update(META).where(META.c.name == "review_seq").values(value=META.c.value + changes)
        connection.execute(counter)
    return int(connection.scalar(select(META.c.value).where(META.c.name == "review_seq")) or 0)


def _parts(values: Sequence[str]) -> list[Sequence[str]]:
    return [values[start : start + _PART] for start in range(0, len(values), _PART)]
