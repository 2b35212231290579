"""What may cross into the store? Ids as the shop keeps them, and nothing that an erasure has ended.

With `privacy.pseudonyms` every id of a shopper or a visit becomes its pseudonym here, in events and in the rows of dead
letters, of which then only the fields we know are kept (an unknown column may be an e-mail address). Applied at the
door of the shop *and* by the store itself: taking an id in twice changes nothing, forgetting to take it in would.
Cost: nothing while pseudonyms are off and nobody was ever forgotten. Not for: what is agreed to (`consent`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from bodega.events.pseudonyms import Pseudonyms, Secrets
from bodega.events.reasons import TEACHING
from bodega.events.spelling import FIELD_OF
from bodega.feeds.mapping import plain
from bodega.schema import DeadLetter, Event

WITHHELD = "(withheld: ids are kept as pseudonyms here, and this row could not be taken apart)"
_PEOPLE = ("user", "session")


class Border:
    """The border of one shop. `secrets` is only opened when it is needed."""

    def __init__(self, secrets: Secrets, *, pseudonyms: bool) -> None:
        self._secrets = secrets
        self.masks = pseudonyms

    @property
    def pseudonyms(self) -> Pseudonyms:
        return self._secrets.pseudonyms

    def name(self, kind: str, name: str) -> str:
        """The id as the shop keeps it; `kind` is `user` or `session`."""
        return self.pseudonyms.of(kind, name) if self.masks and name else name

    def digest(self, kind: str, name: str) -> str:
        """The subject under which this id is remembered as forgotten: always a keyed digest."""
        return f"{kind}:{self.pseudonyms.of(kind, name)}"

    def subject(self, digest: str) -> str:
        """The same digest under the newest key."""
        kind, _, name = digest.partition(":")
        return f"{kind}:{self.pseudonyms.of(kind, name)}"

    def event(self, event: Event) -> Event:
        return self.pseudonyms.event(event) if self.masks else event

    def letter(self, letter: DeadLetter) -> DeadLetter:
        """The letter of an event without a raw id; letters of items stay as they are."""
        if not self.masks or letter.kind != "event":
            return letter
        try:
            row: Any = msgspec.json.decode(letter.raw)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            row = None
        raw = msgspec.json.encode(self._row(row)).decode() if isinstance(row, dict) else WITHHELD
        teaching = {reason.value: text for reason, text in TEACHING.items()}
        return msgspec.structs.replace(letter, raw=raw, message=teaching.get(letter.reason, letter.reason))

    def _row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The fields we know, with pseudonyms; nested objects flattened as the reader does."""
        kept: dict[str, Any] = {}
        for column, value in row.items():
            if isinstance(value, dict):
                kept |= {name: each for name, each in self._row(value).items() if name not in kept}
                continue
            field, _ = FIELD_OF.get(plain(column), ("", 0))
            if field in _PEOPLE:
                kept[column] = self.pseudonyms.of(field, _text(value)) if value not in (None, "") else value
            elif field:
                kept[column] = value
        return kept


def _text(value: object) -> str:
    """An id as the reader of events reads it: 7.0 is 7, spaces around it are none of it."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).strip()
