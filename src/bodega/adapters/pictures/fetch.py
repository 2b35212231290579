"""How is a picture fetched from a stranger's server? One request at a time, to a checked address, with an end.

Every hop of a redirect is checked anew (`addresses`), the connection goes to the checked address itself while TLS and
`Host` name the host, no cookie, proxy or credential is ever sent, and bytes and seconds run out (a server that sends
one byte a second, or never stops, is cut off). What the server calls the content is not looked at: the bytes tell.
The standard library's client is used for this: those that follow redirects and pool connections by themselves resolve
names behind the back of whoever checked them. Cost: a round trip. Not for: anything but `GET`.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urljoin

from bodega.adapters.pictures.addresses import Resolver, Target, resolve, target_of
from bodega.errors import BadPicture
from bodega.settings import Pictures

REDIRECTS = 5
_CHUNK = 65_536
_HEADERS = {
    "User-Agent": "bodega-pictures",
    "Accept": "image/avif,image/webp,image/png,image/jpeg,image/gif,image/bmp,*/*;q=0.1",
    "Accept-Encoding": "identity",  # what is packed could unpack to anything
    "Connection": "close",
}
_MOVED = (301, 302, 303, 307, 308)
AWAY = ("unreachable", "timeout", "server_error")
"""Reasons that may pass by themselves: such a picture is asked for again at the next run."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came."""

    data: bytes
    url: str
    """The last hop."""


def fetch(
    url: str, chosen: Pictures, resolver: Resolver = resolve, clock: Callable[[], float] = time.monotonic
) -> Fetched:
    """The bytes at an address. Raises BadPicture with a reason: those of `addresses`, `timeout`, `server_error`,
    `gone`, `too_many_redirects`, `too_many_bytes`, `empty`."""
    until = clock() + chosen.seconds_limit
    for _ in range(REDIRECTS + 1):
        target = target_of(url, chosen, resolver)
        answer = _Hop(target, url, until, clock).ask(chosen.bytes_limit)
        if isinstance(answer, bytes):
            return Fetched(answer, url)
        url = urljoin(url, answer)
    raise _failed("too_many_redirects", url, f"at most {REDIRECTS} redirects")


class _Hop:
    """One request."""

    def __init__(self, target: Target, url: str, until: float, clock: Callable[[], float]) -> None:
        self.target, self.url, self.until, self.clock = target, url, until, clock

    def ask(self, most: int) -> bytes | str:
        """The body, or where it moved. Raises BadPicture."""
        try:
            connection = self._connected()
        except TimeoutError as error:
            raise _failed("timeout", self.url, "an answer in time", error) from error
        except (OSError, ssl.SSLError) as error:
            raise _failed("unreachable", self.url, "a server that answers", error) from error
        plain = connection.sock
        cut = threading.Timer(max(self.until - self.clock(), 0.0), _cut, (plain,))
        cut.daemon = True
        cut.start()  # a header that drips in byte by byte keeps every single read short
        try:
            connection.request("GET", self.target.path, headers=_HEADERS | {"Host": self._named()})
            with connection.getresponse() as answer:
                return self._read(answer, connection, most)
        except TimeoutError as error:
            raise _failed("timeout", self.url, "an answer in time", error) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            late = self.clock() >= self.until
            raise _failed("timeout" if late else "unreachable", self.url, "a whole answer in time", error) from error
        finally:
            cut.cancel()
            connection.close()
            plain.close()

    def _connected(self) -> http.client.HTTPConnection:
        target = self.target
        plain = self._opened()
        connection = http.client.HTTPConnection(target.host, target.port)
        try:
            if target.scheme == "https":
                plain = ssl.create_default_context().wrap_socket(plain, server_hostname=target.host)
        except BaseException:
            plain.close()
            raise
        connection.sock = plain
        return connection

    def _opened(self) -> socket.socket:
        """A connection to the first of the checked addresses that takes one."""
        for address in self.target.addresses[:-1]:
            try:
                return socket.create_connection((address, self.target.port), timeout=self._left() / 2)
            except OSError:
                continue
        return socket.create_connection((self.target.addresses[-1], self.target.port), timeout=self._left())

    def _read(self, answer: http.client.HTTPResponse, connection: http.client.HTTPConnection, most: int) -> bytes | str:
        if answer.status in _MOVED:
            where = answer.getheader("Location", "")
            if not where:
                raise _failed("server_error", self.url, "a redirect that says where to", answer.status)
            return where
        if answer.status != 200:
            reason = "server_error" if answer.status >= 500 or answer.status == 429 else "gone"
            raise _failed(reason, self.url, "status 200", answer.status)
        told = answer.getheader("Content-Length", "")
        if told.isdigit() and int(told) > most:
            raise _failed("too_many_bytes", self.url, f"at most {most:,} bytes", told)
        parts, size = list[bytes](), 0
        while size <= most:
            if connection.sock is not None:
                connection.sock.settimeout(self._left())
            part = answer.read1(_CHUNK)
            if not part:
                break
            parts.append(part)
            size += len(part)
            self._left()
        if size > most:
            raise _failed("too_many_bytes", self.url, f"at most {most:,} bytes", "more")
        if told.isdigit() and size < int(told):
            raise _failed("unreachable", self.url, "a whole answer", f"{size:,} of {int(told):,} bytes")
        return b"".join(parts)

    def _left(self) -> float:
        left = self.until - self.clock()
        if left <= 0:
            raise TimeoutError("the time for this picture is over")
        return left

    def _named(self) -> str:
        target = self.target
        host = f"[{target.host}]" if ":" in target.host else target.host
        usual = {"http": 80, "https": 443}[target.scheme]
        return host if target.port == usual else f"{host}:{target.port}"


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):  # it ended by itself a moment ago
        connection.shutdown(socket.SHUT_RDWR)


def _failed(reason: str, url: str, allowed: str, got: object = None) -> BadPicture:
    return BadPicture(
        "the picture could not be fetched",
        reason=reason,
        where=url[:200].partition("?")[0],
        allowed=allowed,
        got=got,
        next="open the address in a browser; run bodega pictures again when it answers",
    )
