"""What may be made of what somebody did? Two purposes, each granted or denied, the newest word counts.

    personalisation   lists and completions of this shopper go by what the shopper did
    learning          models, statistics and suggestions for everybody are made of it, too

A shopper who has said nothing has the setting's default. Of several ids of one shopper the newest word counts for all;
of two words at the same moment the denial. A browser's `Sec-GPC: 1` denies whatever was not expressly granted. So the
order in which words arrive changes nothing.

    neither purpose           events are not kept, or kept without an id (`privacy.without_consent`); never learned from
    personalisation alone     kept, for the shopper's own lists; not learned from
    learning alone            kept and learned from; the shopper gets the lists that everybody gets

Not for: keeping words (`protocols.PeopleStore`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bodega.errors import BadRequest
from bodega.events.parse import letter
from bodega.events.reasons import Refusal
from bodega.feeds.values import parse_time
from bodega.schema import DeadLetter
from bodega.schema.people import Word
from bodega.settings import Privacy

PERSONALISATION, LEARNING = "personalisation", "learning"
PURPOSES = (PERSONALISATION, LEARNING)
CONSENT = "consent"
"""Type of the events that say what somebody agrees to."""
NOBODY = "anon-"
"""How the session of an event begins that was kept without an id."""
SOURCE_LIMIT = 64
_SPELLED = {"personalization": PERSONALISATION, "analytics": LEARNING, "statistics": LEARNING}
_WORDS = {"granted": True, "denied": False, True: True, False: False, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds for one shopper now."""

    personalisation: bool = True
    learning: bool = True
    said: frozenset[str] = field(default_factory=frozenset)
    """The purposes that the shopper spoke about."""

    @property
    def kept(self) -> bool:
        """May what the shopper does be kept with an id?"""
        return self.personalisation or self.learning

    def under_gpc(self) -> Standing:
        """The same shopper, whose browser sends `Sec-GPC: 1`."""
        return Standing(
            self.personalisation and PERSONALISATION in self.said, self.learning and LEARNING in self.said, self.said
        )


def standing(words: Iterable[Word], settings: Privacy) -> Standing:
    """What holds when these words were said, in whatever order.

    >>> said = [Word("user:u", "learning", True, 2.0), Word("user:u", "learning", False, 5.0)]
    >>> standing(said, Privacy()).learning, standing(said[:1], Privacy()).learning
    (False, True)
    """
    newest: dict[str, tuple[float, bool]] = {}
    for word in words:
        told = (word.time, not word.granted)
        if word.purpose not in newest or told > newest[word.purpose]:
            newest[word.purpose] = told
    granted = {purpose: not denied for purpose, (_, denied) in newest.items()}
    return Standing(
        granted.get(PERSONALISATION, settings.personalisation == "granted"),
        granted.get(LEARNING, settings.learning == "granted"),
        frozenset(granted),
    )


def is_consent(row: Mapping[str, Any]) -> bool:
    """Is this row of a feed no event of the shop but a word about what it may do?"""
    return row.get("type") == CONSENT


def read_words(row: Mapping[str, Any], now: float, source: str) -> list[Word]:
    """The words in `{"user": "u", "session": "s", "purposes": {"learning": false}}`. Raises BadRequest.

    Purposes may also stand in the row itself; `granted`, `denied`, true and false are understood. A time ahead of our
    clock is now.
    """
    subjects = [f"{kind}:{row[kind]}" for kind in ("user", "session") if isinstance(row.get(kind), str) and row[kind]]
    if not subjects:
        raise BadRequest("whose consent is it?", where="consent", allowed="a user, a session, or both")
    given = row.get("purposes")
    if given is None:
        given = {name: row[name] for name in (*PURPOSES, *_SPELLED) if name in row}
    if not isinstance(given, Mapping) or not given:
        raise BadRequest("consent to what?", where="purposes", allowed=", ".join(PURPOSES), got=given)
    time = min(_time(row.get("time"), now), now)
    return [
        Word(subject, purpose, granted, time, source[:SOURCE_LIMIT])
        for purpose, granted in (_said(name, value) for name, value in given.items())
        for subject in subjects
    ]


def read_consents(
    rows: Sequence[Mapping[str, Any]], now: float, source: str = "events"
) -> tuple[list[Word], list[tuple[int, DeadLetter]]]:
    """(the words among the rows of a feed, the rows of them that say nothing clear: (number, letter))."""
    words: list[Word] = []
    unclear: list[tuple[int, DeadLetter]] = []
    for number, row in enumerate(rows):
        if is_consent(row):
            try:
                words += read_words(row, now, source)
            except BadRequest as error:
                unclear.append((number, letter(Refusal.BAD_VALUE, error.what, raw=row, source=source, line=number + 1)))
    return words, unclear


def _said(name: str, value: object) -> tuple[str, bool]:
    purpose = _SPELLED.get(name, name)
    if purpose not in PURPOSES:
        raise BadRequest("there is no such purpose", where="purposes", allowed=", ".join(PURPOSES), got=name)
    word = value.casefold() if isinstance(value, str) else value
    if not isinstance(word, str | bool) or word not in _WORDS:
        raise BadRequest("neither yes nor no", where=name, allowed="granted, denied, true, false", got=value)
    return purpose, _WORDS[word]


def _time(value: object, now: float) -> float:
    if value is None:
        return now
    try:
        return (value if isinstance(value, datetime) else parse_time(value)).timestamp()
    except ValueError as error:
        raise BadRequest("this is no time", where="time", allowed="ISO 8601, or seconds", got=str(value)) from error
