"""What do you know about me, and who may ask that? The right of access, and tokens with which shoppers ask themselves.

A token says which user its bearer is, signed by the shop's key, for a limited time. A shop's own server makes one for
who is signed in; a page sends it along, and may then see, correct and erase what belongs to that user and nobody else.
Cost: reading all events of a shopper. Not for: API keys, which say which program asks.
"""

from __future__ import annotations

import base64
import time
from typing import Any

import msgspec

from bodega.engine.privacy import Privacy
from bodega.errors import Unauthenticated
from bodega.events.pseudonyms import Secrets

PURPOSE = "shopper"
MOST_EVENTS = 1_000_000
LONGEST = 30 * 86_400.0
TOKEN_LIMIT = 2_048


class Bearer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who holds a token, until when (seconds since 1970): a user, or (without one) a visit."""

    user: str
    until: float
    session: str = ""


def make_token(
    keys: Secrets, user: str = "", *, session: str = "", seconds: float = 3_600.0, now: float | None = None
) -> str:
    """A token for this user, or for the guest of this visit. It names them to whoever reads it, as the page that holds
    it does."""
    until = (time.time() if now is None else now) + min(seconds, LONGEST)
    payload = msgspec.json.encode(Bearer(user, until, "" if user else session))
    return f"{base64.urlsafe_b64encode(payload).decode().rstrip('=')}.{keys.sign(payload, PURPOSE)}"


def read_token(keys: Secrets, token: str, *, now: float | None = None) -> str:
    """The user of a token. Raises Unauthenticated for one that is not ours, changed, too old, or a guest's."""
    bearer = read_bearer(keys, token, now=now)
    if not bearer.user:
        raise _invalid("a token that names a user")
    return bearer.user


def read_bearer(keys: Secrets, token: str, *, now: float | None = None) -> Bearer:
    """Who holds a token. Raises Unauthenticated for one that is not ours, changed, or too old."""
    body, _, signature = token.partition(".")
    try:
        if len(token) > TOKEN_LIMIT:
            raise ValueError
        payload = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        bearer = msgspec.json.decode(payload, type=Bearer)
        good = keys.verify(payload, signature, PURPOSE)
    except (ValueError, msgspec.MsgspecError):
        good = False
    if not good or bearer.until < (time.time() if now is None else now) or not (bearer.user or bearer.session):
        raise _invalid("a token that this shop signed for who is signed in")
    return bearer


def _invalid(allowed: str) -> Unauthenticated:
    return Unauthenticated(
        "this token is not (or no longer) valid",
        where="header X-Shopper-Token",
        allowed=allowed,
        next="ask the shop's server for a new one",
    )


def export_visit(privacy: Privacy, session: str) -> dict[str, Any]:
    """Everything kept of a guest's visit. What was done on it signed in belongs to that user, and is not told here."""
    visit = privacy.border.name("session", session)
    events = [event for event in privacy.events.recent(user="", session=visit, limit=MOST_EVENTS) if not event.user]
    events.sort(key=lambda event: (event.time, event.id))
    told = privacy.standing("", session)
    return {
        "user": "",
        "ids": [],
        "visits": [visit],
        "consent": {"personalisation": told.personalisation, "learning": told.learning, "said": sorted(told.said)},
        "words": [msgspec.to_builtins(word) for word in privacy.of_session(visit).words],
        "identities": [],
        "events": [msgspec.to_builtins(event) for event in events],
        "reviews": [],
    }


def export(privacy: Privacy, user: str) -> dict[str, Any]:
    """Everything kept of a shopper, as plain data: ids and how they came to be one, words about consent, events."""
    person = privacy.of_user(privacy.border.name("user", user))
    visits = privacy.visits(person.users) if privacy.settings.stitch else []
    guests = privacy.guest_visits(person.users) if privacy.settings.stitch else []
    store = privacy.events
    events = [event for name in person.users for event in store.recent(user=name, session="", limit=MOST_EVENTS)]
    for visit in guests:
        events += [event for event in store.recent(user="", session=visit, limit=MOST_EVENTS) if not event.user]
    events.sort(key=lambda event: (event.time, event.id))
    told = privacy.standing(user)
    wrote = privacy.reviews.of_user(person.users) if privacy.reviews is not None else []
    return {
        "user": person.key,
        "ids": list(person.users),
        "visits": visits,
        "consent": {"personalisation": told.personalisation, "learning": told.learning, "said": sorted(told.said)},
        "words": [msgspec.to_builtins(word) for word in person.words],
        "identities": [msgspec.to_builtins(change) for change in privacy.audit(user)],
        "events": [msgspec.to_builtins(event) for event in events],
        "reviews": [msgspec.to_builtins(kept.review) for kept in wrote],
    }
