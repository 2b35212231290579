"""Why was a row refused? The closed list of reason codes of the dead letter box, each with words that teach.

The code is stable (people group and mend by it); the words say what is allowed and what to do. Two of them are not
the feed's fault (`bot`, `unused_type`): they are kept apart but do not count towards the share of bad rows at which
an import stops.
"""

from __future__ import annotations

from enum import StrEnum

from bodega.feeds import surprises


class Refusal(StrEnum):
    """`row.reason` in the dead letter box."""

    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large"
    NO_TIME = "no_time"
    BAD_TIME = "bad_time"
    FUTURE_TIME = "future_time"
    ABSURD_TIME = "absurd_time"
    OLD_TIME = "old_time"
    NO_TYPE = "no_type"
    UNKNOWN_TYPE = "unknown_type"
    UNUSED_TYPE = "unused_type"
    NO_ITEM = "no_item"
    NO_QUERY = "no_query"
    NOBODY = "nobody"
    BAD_PRICE = "bad_price"
    BAD_QUANTITY = "bad_quantity"
    BAD_VALUE = "bad_value"
    BAD_POSITION = "bad_position"
    BAD_TEXT = "bad_text"
    BOT = "bot"
    CONFLICT = "conflict"
    FAILED = surprises.FAILED


TEACHING: dict[Refusal, str] = {
    Refusal.UNREADABLE: "the row could not be split into columns; mend its quotes or separators and import it again",
    Refusal.TOO_LARGE: "the record is larger than streams.record_limit allows; an event takes some hundred bytes",
    Refusal.OLD_TIME: "the time lies further back than ingest.oldest_days allows (0: any since 1990 is taken)",
    Refusal.NO_TIME: "an event needs a time; name its column `time`, or map it: mapping={'time': 'their_column'}",
    Refusal.BAD_TIME: "not a time; allowed: ISO 8601, seconds or milliseconds since 1970, any whole date",
    Refusal.FUTURE_TIME: "the time lies ahead of our clock; allowed: up to ingest.future_seconds (300 s); check the "
    "sender's clock and time zone",
    Refusal.ABSURD_TIME: "the time lies before 1990; is it in another unit, or a default date of an empty cell?",
    Refusal.NO_TYPE: "an event needs a type; allowed: impression, view, click, cart, purchase, search, rating, dismiss,"
    " return; a file of one type can be imported with type='purchase'",
    Refusal.UNKNOWN_TYPE: "not a type we know; allowed: impression, view, click, cart, purchase, search, rating, "
    "dismiss, return and their usual other names",
    Refusal.UNUSED_TYPE: "known, but nothing is learned from this type; kept here only",
    Refusal.NO_ITEM: "every event but a search names an item",
    Refusal.NO_QUERY: "a search needs the text that was searched for",
    Refusal.NOBODY: "an event needs a user or a session; without either nothing can be learned from it",
    Refusal.BAD_PRICE: "not a price; allowed: a number that is not negative, with or without a currency, or nothing",
    Refusal.BAD_QUANTITY: "not a quantity; allowed: a number above zero (a negative purchase is taken for a return)",
    Refusal.BAD_VALUE: "a rating needs its stars in `value`, as a finite number",
    Refusal.BAD_POSITION: "not a position; allowed: a whole number from 0 (first in the list) to 1,000,000, or nothing",
    Refusal.BAD_TEXT: "a text that cannot be kept: an id longer than 512 characters, a NUL, or broken Unicode",
    Refusal.BOT: "the sender says it is a robot; its events are not learned from",
    Refusal.CONFLICT: "this event id was delivered before with another content; the first one is kept",
    Refusal.FAILED: surprises.WORDS,
}

NOT_COUNTED = frozenset({Refusal.UNUSED_TYPE, Refusal.BOT})
"""Reasons that do not count towards `ingest.bad_rows_limit`."""
