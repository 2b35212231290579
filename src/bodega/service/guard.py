"""May this caller do that, and not too often? Runs before every handler that is not public.

A route without a scope needs `admin`: what was forgotten is closed. There is no "no key = open": without a key only a
loopback client is answered, only when `serve.keyless_loopback` says so, only with the scopes `search` and `events`, and
only when the call does not come through a proxy or from another site's page.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from litestar.types import ASGIApp, Receive, Scope, Send

from bodega.errors import Forbidden, LimitError, Unauthenticated
from bodega.service.desk import Desk, Visit, visit_of
from bodega.service.sessions import own_page

SCOPES = ("search", "events", "admin")
KEYLESS = ("search", "events")
PROXIED = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"via"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brings along to say who asks."""

    key: str
    origin: str
    site: str
    host: str
    proxied: bool
    cookie: str = ""
    ticket: str = ""


def guard_of(desk: Desk) -> Callable[[ASGIApp], ASGIApp]:
    """The guard of one application, as Litestar middleware: every route gets it, whatever else the route declares.

    (Litestar's own `guards` copy the route's handler at every request: 35 us.)
    """

    def guarded(app: ASGIApp) -> ASGIApp:
        async def guard(scope: Scope, receive: Receive, send: Send) -> None:
            options = scope["route_handler"].opt
            if not (options.get("public") or scope.get("method") == "OPTIONS"):
                given = credentials(scope["headers"])
                held = seated(desk, scope, given)
                scopes = held if held is not None else admitted(desk, visit_of(scope), given)
                allow(scopes, str(options.get("scope", "admin")))
            await app(scope, receive, send)

        return guard

    return guarded


def credentials(headers: Iterable[tuple[bytes, bytes]]) -> Credentials:
    """The caller's key and origin. Raises Unauthenticated when several different keys are sent."""
    keys: set[str] = set()
    seen = {b"origin": "", b"sec-fetch-site": "", b"host": ""}
    proxied = False
    cookie = ticket = ""
    for name, value in headers:
        if name == b"authorization":
            kind, _, rest = value.decode("latin-1").partition(" ")
            if kind.lower() == "ticket":
                ticket = rest.strip()
                continue
            # Another kind of authorization is a wrong key, not an absent one: it must not fall back to keyless.
            keys.add(rest.strip() if kind.lower() == "bearer" else "?")
        elif name == b"x-api-key":
            keys.add(value.decode("latin-1").strip())
        elif name == b"cookie":
            cookie = value.decode("latin-1")
        elif name in seen:
            seen[name] = value.decode("latin-1")
        elif name in PROXIED:
            proxied = True
    if len(keys) > 1:
        raise _refused("several different keys were sent", "key.several")
    key = keys.pop() or "?" if keys else ""
    return Credentials(key, seen[b"origin"], seen[b"sec-fetch-site"], seen[b"host"], proxied, cookie, ticket)


def seated(desk: Desk, scope: Scope, given: Credentials) -> Sequence[str] | None:
    """The scopes of somebody at the console: of the key that a cookie (or, to sign in, a ticket) stands for. None where
    the request brings neither, or a key. Raises Unauthenticated, LimitError."""
    if given.key or not (given.cookie or given.ticket):
        return None
    visit, method = visit_of(scope), str(scope.get("method", ""))
    if given.ticket:
        spend(desk, f"unknown {network(visit.address)}")
        info = desk.sessions.redeem(given.ticket) if scope["route_handler"].opt.get("ticket") else None
        if info is None:
            raise _refused("this ticket is not (or no longer) valid", "key.ticket")
    else:
        info = desk.sessions.bearer(given.cookie)
        if info is None or not own_page(method, given.site, given.origin, given.host):
            return None
    visit.key, visit.label = info.id, info.label
    spend(desk, f"{info.id} {network(visit.address)}")
    return info.scopes


def admitted(desk: Desk, visit: Visit, given: Credentials) -> Sequence[str]:
    """The scopes this caller holds. Raises Unauthenticated, LimitError."""
    if not given.key:
        return _keyless(desk, visit, given)
    if not desk.keyring.remembers(given.key):
        spend(desk, f"unknown {network(visit.address)}")
    info = desk.keyring.holder(given.key)
    if info is None or info.revoked:
        raise _refused("this key is not (or no longer) valid", "key.invalid")
    visit.key, visit.label = info.id, info.label
    # A key that stands in a public page is shared by all visitors: each address has its own bucket.
    spend(desk, f"{info.id} {network(visit.address)}")
    return info.scopes


def _keyless(desk: Desk, visit: Visit, given: Credentials) -> Sequence[str]:
    if not (desk.settings.serve.keyless_loopback and is_loopback(visit.address) and not given.proxied):
        spend(desk, f"unknown {network(visit.address)}")
        raise _refused("a key is needed", "key.none")
    elsewhere = given.origin and given.origin.partition("://")[2] != given.host
    if elsewhere or given.site not in ("", "none", "same-origin"):
        raise _refused("a page of another site may not call this shop without a key", "key.site")
    return KEYLESS


def allow(held: Sequence[str], needed: str) -> None:
    """Raises Forbidden unless the scope is held; `admin` holds all."""
    if needed in held or "admin" in held:
        return
    raise Forbidden(
        f"this key may not do that: it lacks the scope '{needed}'",
        code="key.scope",
        where="API key",
        allowed=needed,
        got=", ".join(held),
        next=f"bodega keys create --scope {needed}",
    )


def spend(desk: Desk, caller: str) -> None:
    """Take one from the caller's bucket. Raises LimitError when it is empty."""
    wait = desk.buckets.take(caller)
    if wait:
        serve = desk.settings.serve
        error = LimitError(
            "too many requests",
            code="limit.requests",
            where="API key or address",
            allowed=f"{serve.requests_per_second:g} a second, {serve.burst} at once",
            next="ask again after Retry-After seconds, or raise serve.requests_per_second",
        )
        error.retry_after = max(1, math.ceil(wait))
        raise error


def is_loopback(address: str) -> bool:
    """Is this a client on the same machine?"""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def network(address: str) -> str:
    """Who counts as one caller: an IPv4 address, or an IPv6 /64 (one subscriber has 2^64 addresses of it)."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network(f"{address.partition('%')[0]}/64", strict=False))
    except ValueError:
        return address


def _refused(what: str, code: str) -> Unauthenticated:
    return Unauthenticated(
        what,
        code=code,
        where="header Authorization: Bearer <key>, or X-API-Key: <key>",
        allowed="one valid key of this shop",
        next="bodega keys create --scope search --scope events",
    )
