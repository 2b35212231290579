"""`shop.privacy`: who asks, may we go by what they did, and what of it may be kept?

    request -> asked      the id as it is kept here; the shopper it belongs to; nobody where personalisation is denied
    events  -> admitted   ids as they are kept; nothing of who was forgotten; dropped or made nameless without consent
    events  -> known      the same under the shopper's one key: what states are made of
    learn   -> people     the same knowledge for the whole log (`events.gathering`)

What a shopper is (linked ids, words about consent, the visits that belong to nobody else) is looked up once and kept
for the newest 50,000 of them; a change counts at once here, and in other processes as soon as they are told or look
(`refresh`, every two seconds while serving). Cost: .3 us a request where nobody is linked and nobody spoke; a look-up
.2 ms. Not for: removing (`erasure.py`), nor deciding what links and words mean (`events.identity`, `events.consent`).
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import msgspec
import numpy as np

from bodega.engine.patience import Patience
from bodega.engine.whose import Person, accounts, is_others, merged, rows_where, words_of
from bodega.errors import BadRequest, BadSettings, BodegaError
from bodega.events.border import Border
from bodega.events.consent import NOBODY, Standing, standing
from bodega.events.gathering import People
from bodega.events.identity import SESSION, USER, homes, stitched, united
from bodega.events.people import IdentityChange, PeopleState, PeopleStore
from bodega.events.pseudonyms import Secrets
from bodega.protocols import EventRows, EventStore, ReviewStore, Steps
from bodega.schema import Event, Request
from bodega.schema.people import Link, Word
from bodega.settings import Privacy as Chosen

KEPT = 50_000
"""Shoppers and visits whose facts are kept in memory: about 30 MB."""
VISITS = 1_000
"""Newest visits of a shopper whose words count."""
GUEST_VISITS = 20
"""Newest visits of a shopper whose guest events are read."""
RELINKED = 1_000
"""More changed links than this at once drop all states."""
ALIASES = 50
"""Ids in one identify."""
LOGGER = logging.getLogger("bodega.privacy")


@runtime_checkable
class Rewrites(Protocol):
    """A store whose rows can be brought under another key, and which can be rewritten whole."""

    def rekey(self, border: Border) -> dict[str, int]: ...
    def stale(self, border: Border) -> int: ...
    def compact(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Doors:
    """What the privacy of a shop works with."""

    store: PeopleStore
    events: EventStore
    secrets: Secrets
    border: Border
    forget: Callable[[Sequence[str], Sequence[str]], None]
    """Drop the states of these users and visits in memory; of nobody in particular: of all."""
    recount: Callable[[], None] = field(default=lambda: None)
    """Count again what happened since the last learn, without whoever was forgotten; may be slow."""
    tell: Callable[[bool], None] = field(default=lambda _: None)
    """Let other processes know: True where states must go, too."""
    reviews: ReviewStore | None = None


class Privacy:
    """One shop's knowledge of people. Calls are safe from several threads."""

    def __init__(self, doors: Doors, settings: Chosen) -> None:
        self.settings = settings
        self.store = doors.store
        self.events = doors.events
        self.reviews = doors.reviews
        self.secrets = doors.secrets
        self.border = doors.border
        self._forget = doors.forget
        self._recount = doors.recount
        self._tell = doors.tell
        self._users: OrderedDict[str, Person] = OrderedDict()
        self._sessions: OrderedDict[str, Person] = OrderedDict()
        self._buried: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._state: PeopleState | None = None
        self.patience = Patience("identity", None)
        """How a store is read while somebody waits for a page."""
        self._opted_in = settings.personalisation == settings.learning == "granted"
        self._lock = threading.RLock()

    # -- what others changed --------------------------------------------------------------------------------------

    @property
    def state(self) -> PeopleState:
        if self._state is None:
            self.refresh()
        assert self._state is not None
        return self._state

    def refresh(self) -> None:
        """Take in what any process changed. Raises StoreError."""
        fresh = self.store.state()
        with self._lock:
            before, self._state = self._state, fresh
            if before == fresh:
                return
            self._users.clear()
            self._sessions.clear()
            self._buried.clear()
        if before is None:
            return
        if before.erasures != fresh.erasures:
            self._forget((), ())
            threading.Thread(target=self._recount, name="recount", daemon=True).start()
        elif before.identities != fresh.identities:
            self._relinked(before.identities)

    def _relinked(self, since: int) -> None:
        """Drop the states of everybody whose ids were linked or parted."""
        lines = self.store.trail(since=since, limit=RELINKED)
        if len(lines) == RELINKED:
            self._forget((), ())
            return
        subjects = {side for line in lines for side in (line.left, line.right)}
        named = {side[len(USER) :] for side in subjects if side.startswith(USER)}
        users = named | {each for name in named for each in self.of_user(name).users}
        self._forget(sorted(users), sorted(side[len(SESSION) :] for side in subjects if side.startswith(SESSION)))

    def changed(self, *, states: bool) -> None:
        """Something was written here: take it in, and tell the other processes."""
        self.refresh()
        self._tell(states)

    # -- asking ---------------------------------------------------------------------------------------------------

    def asked(self, request: Request, *, gpc: bool = False) -> Request:
        """The request under the shopper's key, or nobody's where personalisation is not agreed to."""
        if not (request.user or request.session):
            return request
        user, session = self.border.name("user", request.user), self.border.name("session", request.session)
        try:
            user, session = self.patience(lambda: self._whose(user, session, gpc=gpc))
        except Exception as error:  # a page is never refused for this
            facts = error.as_dict() if isinstance(error, BodegaError) else {"why": type(error).__name__}
            LOGGER.error("it is not known whose request this is", extra={"facts": facts})
            state = self._state  # as it was last known
            if gpc or not self._opted_in or state is None or state.spoken:
                user = session = ""  # somebody may have denied: nobody is recognised until the store answers
        if user == request.user and session == request.session:
            return request
        return msgspec.structs.replace(request, user=user, session=session)

    def _whose(self, user: str, session: str, *, gpc: bool) -> tuple[str, str]:
        state = self.state
        if not (self.settings.stitch or state.spoken or state.linked or gpc) and self._opted_in:
            return user, session
        person, visit = self.of_user(user), self.of_session(session)
        words = person.words if visit.shared and user else (*person.words, *visit.words)
        told = standing(words, self.settings)
        if not (told.under_gpc() if gpc and self.settings.gpc == "deny" else told).personalisation:
            return "", ""
        if not user:
            return (visit.key, "") if visit.key else ("", session)
        return person.key, "" if visit.key or visit.shared else session

    @property
    def _free(self) -> bool:
        """Is it known that everybody agrees to everything?"""
        return self._opted_in and not self.state.spoken

    def of_user(self, user: str) -> Person:
        """Everything known of the shopper of this id (as it is kept here)."""
        if not user:
            return Person()
        with self._lock:
            found = self._users.get(user)
        if found is None:
            state = self.state
            users = self._linked(user) if state.linked else (user,)
            words: list[Word] = []
            if state.spoken:
                visits = self.visits(users) if self.settings.stitch else []
                words = self.store.said([*(USER + each for each in users), *(SESSION + each for each in visits)])
            found = Person(users, tuple(words))
            self._keep(self._users, user, found)
        return found

    def of_session(self, session: str) -> Person:
        """The shopper of a visit; a guest where it has none, or several."""
        if not session:
            return Person()
        with self._lock:
            found = self._sessions.get(session)
        if found is None:
            self._look_up([session])
            with self._lock:
                found = self._sessions.get(session, Person())
        return found

    def visits(self, users: Sequence[str], limit: int = VISITS) -> list[str]:
        """The newest visits that belong to this shopper and nobody else."""
        said = self.store.links_of([USER + user for user in users]) if self.state.linked else []
        told = [link.left[len(SESSION) :] for link in said if link.left.startswith(SESSION) and not link.apart]
        near = list(dict.fromkeys([*told, *self.store.sessions_of(users, limit=limit)]))
        owned, _ = self._owners(near)
        return [visit for visit in near if owned.get(visit) in users]

    def _linked(self, user: str) -> tuple[str, ...]:
        """All ids of the shopper, the key first: a walk over the links, at most as far as a profile may reach."""
        known, edge = {user}, [user]
        pairs: set[tuple[str, str]] = set()
        while edge and len(known) <= self.settings.ids_per_profile:
            links = self.store.links_of([USER + each for each in edge])
            near = {(link.left[len(USER) :], link.right[len(USER) :]) for link in links if accounts(link)}
            pairs |= near
            edge = sorted({name for pair in near for name in pair} - known)
            known.update(edge)
        key_of, _ = united(pairs, self.settings.ids_per_profile)
        return tuple(sorted(name for name, key in key_of.items() if key == key_of.get(user))) or (user,)

    def _owners(self, sessions: Sequence[str]) -> tuple[dict[str, str], frozenset[str]]:
        """({visit: key of its one shopper}, visits of several shoppers)."""
        seen = self.store.users_of(sessions)
        pairs = [(visit, user) for visit, users in seen.items() for user in users]
        links = self.store.links_of([SESSION + visit for visit in sessions]) if self.state.linked else []
        said = [(link.left[len(SESSION) :], link.right[len(USER) :], link.apart) for link in links]
        pairs += [(visit, user) for visit, user, apart in said if not apart]
        apart = [(visit, user) for visit, user, cut in said if cut]
        users = {user for _, user in (*pairs, *apart)}
        keys = {user: self._key(user) for user in users}
        return homes(pairs, apart, keys)

    def _key(self, user: str) -> str:
        if not self.state.linked:
            return user
        with self._lock:
            found = self._users.get(user)
        return found.key if found is not None else self._linked(user)[0]

    def _look_up(self, sessions: Iterable[str]) -> None:
        """Keep the facts of these visits, all asked for at once."""
        with self._lock:
            unknown = [name for name in dict.fromkeys(sessions) if name and name not in self._sessions]
        if not unknown:
            return
        owned, shared = self._owners(unknown) if self.settings.stitch else ({}, frozenset())
        guests = [name for name in unknown if name not in owned]
        said: dict[str, list[Word]] = {}
        if self.state.spoken:
            for word in self.store.said([SESSION + name for name in guests]):
                said.setdefault(word.subject[len(SESSION) :], []).append(word)
        for name in unknown:
            person = self.of_user(owned[name]) if name in owned else Person(words=tuple(said.get(name, ())))
            self._keep(self._sessions, name, person if name not in shared else Person((), person.words, shared=True))

    def _keep(self, held: OrderedDict[str, Person], name: str, person: Person) -> None:
        with self._lock:
            held[name] = person
            if len(held) > KEPT:
                held.popitem(last=False)

    # -- what comes in --------------------------------------------------------------------------------------------

    def admitted(self, events: Sequence[Event], *, gpc: bool = False, said: Sequence[Word] = ()) -> list[Event]:
        """The events that may be kept, as they may be kept; `said`: what was said just before and is not stored yet,
        under the names that are kept (`masked`)."""
        _ = self.secrets.keys  # made with the first event, while there is room: whoever comes in can be forgotten
        masked = [self.border.event(event) for event in events]
        state = self.state
        if state.buried:
            masked = [event for event in masked if not self.is_buried(event)]
        if self._opted_in and not (state.spoken or gpc or said):
            return masked
        self._look_up(event.session for event in masked)
        told = [(event, self._standing(event, gpc=gpc, said=said)) for event in masked]
        kept = [event if agreed.kept else self._nameless(event) for event, agreed in told]
        return [event for event in kept if event is not None]

    def is_buried(self, event: Event) -> bool:
        """Was whoever did this forgotten since?"""
        stamp = event.time.timestamp()
        names = (("user", event.user),) if event.user else (("session", event.session),)
        return any(stamp <= self._tombstone(kind, name) for kind, name in names if name)

    def _tombstone(self, kind: str, name: str) -> float:
        with self._lock:
            held = self._buried.get((kind, name))
        if held is None:
            held = next(iter(self.store.buried([self.border.digest(kind, name)]).values()), -1.0)
            with self._lock:
                self._buried[kind, name] = held
                if len(self._buried) > KEPT:
                    self._buried.popitem(last=False)
        return held

    def _standing(self, event: Event, *, gpc: bool, said: Sequence[Word] = ()) -> Standing:
        if event.session.startswith(NOBODY) and not event.user:
            return Standing()  # nameless already
        person, visit = self.of_user(event.user), self.of_session(event.session)
        words = words_of(event.user, person, visit)
        if said:
            mine = {USER + each for each in (event.user, *person.users) if each}
            if event.session and not (event.user and is_others(person, visit)):
                mine.add(SESSION + event.session)
            words = (*words, *(word for word in said if word.subject in mine))
        told = standing(words, self.settings)
        return told.under_gpc() if gpc and self.settings.gpc == "deny" else told

    def _nameless(self, event: Event) -> Event | None:
        """The event without any id, where the shop keeps such; the same event gets the same digest."""
        if self.settings.without_consent == "drop":
            return None
        content = msgspec.msgpack.encode(event)
        key = hmac.digest(self.secrets.keys[0], b"nameless", "sha256")
        digest = NOBODY + hmac.new(key, content, hashlib.sha256).hexdigest()[:24]
        return msgspec.structs.replace(event, id=digest, user="", session=digest, request_id="")

    def known(self, events: Sequence[Event]) -> list[Event]:
        """The same events under the keys of their shoppers: what states are made of."""
        if not self.settings.stitch and not self.state.linked:
            return list(events)
        both = {(event.session, event.user) for event in events if event.user and event.session}
        with self._lock:
            held = {visit: self._sessions.get(visit, Person()) for visit, _ in both}
            fresh = {(visit, user) for visit, user in both if not held[visit].shared and user not in held[visit].users}
            for visit, _ in fresh:  # what was known of it, that it is a guest's, holds no longer
                self._sessions.pop(visit, None)
        self._look_up(event.session for event in events if event.session)
        guests = self.store.guests_among(sorted({visit for visit, _ in fresh})) if fresh else set()
        stale = {user for visit, user in fresh if visit in guests}
        if stale:
            former = {held[visit].key for visit, _ in fresh}
            self._forget(sorted({self.of_user(user).key for user in stale} | (former - {""})), ())
        return [self._known(event) for event in events]

    def _known(self, event: Event) -> Event:
        key = self.of_user(event.user).key if event.user else self.of_session(event.session).key
        return event if key in ("", event.user) else msgspec.structs.replace(event, user=key)

    # -- what states and models are made of -----------------------------------------------------------------------

    def steps(self, user: str, session: str, limit: int) -> Steps:
        """What this shopper did under all ids, guest visits included; what a guest did on this visit."""
        if not user:
            return self.events.steps(user="", session=session, limit=limit)
        person = self.of_user(user)
        parts = [self.events.steps(user=each, session="", limit=limit) for each in person.users]
        if self.settings.stitch:
            visits = self.guest_visits(person.users)
            parts += [self.store.guest_steps(visits, limit=limit)] if visits else []
        return parts[0] if len(parts) == 1 else merged(parts)

    def guest_visits(self, users: Sequence[str]) -> list[str]:
        """The newest visits of this shopper on which something was done without being signed in."""
        said = self.store.links_of([USER + user for user in users]) if self.state.linked else []
        told = [link.left[len(SESSION) :] for link in said if link.left.startswith(SESSION) and not link.apart]
        near = [*told, *self.store.sessions_of(users, limit=GUEST_VISITS, guests=True)]
        if not near:
            return []
        owned, _ = self._owners(list(dict.fromkeys(near)))
        return [visit for visit in dict.fromkeys(near) if owned.get(visit) in users]

    def people(self) -> People:
        """Who is who and who agreed, for the whole log."""
        state = self.store.state()
        links = self.store.links() if state.linked else []
        words = self.store.words() if state.spoken else []
        return People(self.settings, stitched(links, self.settings.ids_per_profile), links, words)

    def taught(self, events: Sequence[Event]) -> Sequence[Event]:
        """Those of the events that models may be made of."""
        if self._free:
            return events
        self._look_up(event.session for event in events)
        return [event for event in events if self._learnable(event.user, event.session)]

    def learnable(self, chunks: Iterable[EventRows]) -> Iterator[EventRows]:
        """The rows that models may be made of."""
        for rows in chunks:
            if not self._free:
                self._look_up(rows.session)
                keep = np.array([self._learnable(*each) for each in zip(rows.user, rows.session, strict=True)], bool)
                rows = rows_where(rows, keep)
            yield rows

    def _learnable(self, user: str, session: str) -> bool:
        if not user and session.startswith(NOBODY):
            return False
        person, visit = self.of_user(user), self.of_session(session)
        return standing(words_of(user, person, visit), self.settings).learning

    # -- what is said ---------------------------------------------------------------------------------------------

    def identify(self, user: str, *, session: str = "", aliases: Sequence[str] = (), who: str = "") -> int:
        """This visit, and these further ids, are this user. Returns how many links are new."""
        return self._link(user, session, aliases, who=who, apart=False)

    def part(self, user: str, *, session: str = "", aliases: Sequence[str] = (), who: str = "") -> int:
        """They are *not* this user, whatever else says so: how a wrong merge is undone."""
        return self._link(user, session, aliases, who=who, apart=True)

    def _link(self, user: str, session: str, aliases: Sequence[str], *, who: str, apart: bool) -> int:
        if not user or not (session or aliases) or len(aliases) > ALIASES or user in aliases:
            raise BadRequest(
                "who is the same as whom?",
                where="identify",
                allowed=f"a user, and a session or up to {ALIASES} other ids",
                got=f"{len(aliases)} ids",
            )
        mine = USER + self.border.name("user", user)
        others = [USER + self.border.name("user", each) for each in aliases]
        others += [SESSION + self.border.name("session", session)] if session else []
        now = time.time()
        links = [Link.of(mine, each, evidence="identify", apart=apart, time=now) for each in others]
        if apart:
            links += self._bridges(mine, others, now)
        changed = self.store.link(links, who=who)
        if changed:
            self.changed(states=True)
        return changed

    def _bridges(self, mine: str, others: Sequence[str], now: float) -> list[Link]:
        """What else holds these ids to the shopper: every link between them and any other id of it."""
        profile = {USER + each for each in self.of_user(mine[len(USER) :]).users} - set(others)
        return [
            Link.of(link.left, link.right, evidence="identify", apart=True, time=now)
            for link in self.store.links_of(others)
            if not link.apart and ({link.left, link.right} & profile)
        ]

    def say(self, words: Sequence[Word]) -> None:
        """Keep what shoppers say about consent; the next request and the next event of any process go by it."""
        self.store.say(self.masked(words))
        self.changed(states=False)

    def masked(self, words: Sequence[Word]) -> list[Word]:
        """The same words, of the shoppers as they are kept here."""
        return [self._masked(word) for word in words]

    def _masked(self, word: Word) -> Word:
        kind, _, name = word.subject.partition(":")
        return Word(f"{kind}:{self.border.name(kind, name)}", word.purpose, word.granted, word.time, word.source)

    def standing(self, user: str = "", session: str = "") -> Standing:
        """What holds for this shopper now."""
        user, session = self.border.name("user", user), self.border.name("session", session)
        person, visit = self.of_user(user), self.of_session(session)
        return standing(words_of(user, person, visit), self.settings)

    def rekey(self) -> dict[str, int]:
        """Bring every stored row under the newest key of the pseudonyms; {table: rows}. Raises BadSettings."""
        if not self.settings.pseudonyms or not isinstance(self.store, Rewrites):
            raise BadSettings(
                "pseudonyms are not switched on for this shop",
                where="privacy.pseudonyms",
                allowed="true",
                got=str(self.settings.pseudonyms).lower(),
                next="set it in bodega.toml, then run this again",
            )
        counts = self.store.rekey(self.border)
        self.changed(states=True)
        return counts

    def audit(self, user: str, limit: int = 100) -> list[IdentityChange]:
        """Who said what about the ids of this shopper, newest first."""
        users = self.of_user(self.border.name("user", user)).users
        return self.store.trail([USER + each for each in users], limit=limit)
