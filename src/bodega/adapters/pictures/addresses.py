"""Which machine may be asked for a picture? Public ones only, whatever the address pretends to be.

An address in a feed is written by a stranger, and the server that fetches it stands inside somebody's network: asked
carelessly it reads cloud metadata, databases and consoles for whoever wrote the feed. So a host name is resolved once,
*every* address that it has must be public, and the connection goes to the very address that was checked (a name that
resolves to something else a moment later changes nothing). Numbers in odd clothes (decimal, octal, hexadecimal, short
forms) are refused as names; IPv6 addresses that carry an IPv4 one are judged by what they carry.
Not for: deciding what a fetched answer is worth (`fetch`, `understanding.image.decoding`).
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from bodega.errors import BadPicture
from bodega.settings import Pictures

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]
"""(host, port) -> its addresses as text. Raises OSError."""

PORTS = {"http": 80, "https": 443}
LONGEST = 2_000
"""Characters of an address."""
_NAME = re.compile(r"(?=.{1,253}\.?$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?\.?")
_INSIDE = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa", ".corp", ".home", ".onion", ".test")
"""Endings that never are public names."""
_CLOSED = tuple(
    map(
        ipaddress.ip_network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
            "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32",
        ),
    )
)  # fmt: skip
"""IPv4 that is not the public internet (RFC 6890 and its updates), and the metadata address of Azure, which is."""


_CLOSED_6 = tuple(map(ipaddress.ip_network, ("2001::/23", "2001:db8::/32", "3ffe::/16", "3fff::/20")))
"""IPv6 inside 2000::/3 that is not the public internet: protocols, documentation, and the 6bone, which is gone."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes: to one of `addresses`, asking for `host`."""

    scheme: str
    host: str
    port: int
    addresses: tuple[str, ...]
    path: str
    """Path and query, as sent."""


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, by the system. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def target_of(url: str, chosen: Pictures, resolver: Resolver = resolve) -> Target:
    """Where this address may be asked. Raises BadPicture with the reason `bad_address`, `forbidden_address` or
    `unreachable`."""
    parts = _split(url)
    host, port = _host(parts, url), _port(parts, url)
    allowed = _listed(chosen.private_hosts)
    inside = (host, port) in {_with_port(one, parts.scheme) for one in allowed}
    if not inside:
        _check_name(host, url)
        if port not in PORTS.values():
            raise _refused("forbidden_address", "ports 80 and 443", url)
        if not _is_listed(host, _listed(chosen.hosts)):
            raise _refused("forbidden_address", f"one of the hosts in pictures.hosts: {chosen.hosts}", url)
    literal = _literal(host)
    try:
        addresses = [str(literal)] if literal else [str(one) for one in resolver(host, port)]
    except (OSError, UnicodeError) as error:
        raise _refused("unreachable", "a host that can be found", url, error) from error
    if not addresses:
        raise _refused("unreachable", "a host that has an address", url)
    if not inside and not all(is_public(one) for one in addresses):
        raise _refused("forbidden_address", "a host of the public internet", url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, tuple(addresses), _sendable(path, url))


def is_public(address: str) -> bool:
    """May this IP address be connected to? What cannot be read as one may not."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return _public(found) and "%" not in address


def _public(found: Address) -> bool:
    if isinstance(found, ipaddress.IPv4Address):
        return found.is_global and not any(found in net for net in _CLOSED)
    # 2000::/3 is all that was ever given out; in it, tunnels that carry an IPv4 address reach wherever that leads
    if found not in ipaddress.ip_network("2000::/3") or not found.is_global:
        return False
    return not (found.sixtofour or found.teredo or any(found in net for net in _CLOSED_6))


def _split(url: str) -> SplitResult:
    if len(url) > LONGEST:
        raise _refused("bad_address", f"at most {LONGEST:,} characters", url[:80])
    if any(ord(sign) < 33 or ord(sign) == 127 for sign in url) or "\\" in url:
        raise _refused("bad_address", "an address without blanks, control characters and backslashes", url)
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise _refused("bad_address", "an http or https address", url, error) from error
    if parts.scheme not in PORTS or not parts.netloc:
        raise _refused("bad_address", "an http or https address", url)
    if "@" in parts.netloc:
        raise _refused("bad_address", "an address without a name and a password", parts.hostname or "")
    return parts


def _host(parts: SplitResult, url: str) -> str:
    """The host in small letters and ASCII."""
    try:
        host = (parts.hostname or "").rstrip(".")
        if ":" in host:
            return host
        return host.encode("idna").decode("ascii").lower() if not host.isascii() else host.lower()
    except (UnicodeError, ValueError) as error:
        raise _refused("bad_address", "a host name", url, error) from error


def _port(parts: SplitResult, url: str) -> int:
    try:
        return parts.port if parts.port is not None else PORTS[parts.scheme]
    except ValueError as error:
        raise _refused("bad_address", "a port", url, error) from error


def _check_name(host: str, url: str) -> None:
    """Refuse what is neither a public name nor an address written in full."""
    if _literal(host) is not None:
        return
    if not _NAME.fullmatch(host) or f".{host}".endswith(_INSIDE):
        raise _refused("forbidden_address", "a name of the public internet, or an address written in full", url)


def _literal(host: str) -> Address | None:
    """The address that the host is, in the one way that all programs read alike; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _listed(text: str) -> list[str]:
    return [one.strip().lower() for one in text.split(",") if one.strip()]


def _with_port(entry: str, scheme: str) -> tuple[str, int]:
    host, _, port = entry.rpartition(":")
    if host and port.isdigit() and (host.count(":") == 0 or host.endswith("]")):
        return host.strip("[]"), int(port)
    return entry.strip("[]"), PORTS[scheme]


def _is_listed(host: str, allowed: Sequence[str]) -> bool:
    return not allowed or any(host == one or (one.startswith(".") and host.endswith(one)) for one in allowed)


def _sendable(path: str, url: str) -> str:
    """The path in ASCII: what is not is percent-encoded, as browsers do."""
    from urllib.parse import quote

    try:
        return quote(path, safe="/%?&=+$,;:@!*'()~-._[]|", encoding="utf-8")
    except UnicodeError as error:
        raise _refused("bad_address", "an address in Unicode", url, error) from error


def _refused(reason: str, allowed: str, url: str, got: object = None) -> BadPicture:
    return BadPicture(
        "this address is not asked for a picture" if reason != "unreachable" else "the picture could not be fetched",
        reason=reason,
        where=url[:200].partition("?")[0],  # what follows may be a signature
        allowed=allowed,
        got=got,
        next="name the picture by a public http or https address, a data URI or a file in the shop's picture folder",
    )
