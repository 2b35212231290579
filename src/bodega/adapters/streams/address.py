"""Which broker, which topic, which group? One URL says it.

    kafka://host:9092[,host2:9092]/topic?group=bodega    any librdkafka setting may follow: &security.protocol=SSL
    redis://host:6379/key?group=bodega                   rediss:// with TLS; /2/key for database 2

A password never stands in a settings file: it is read from BODEGA_STREAMS_PASSWORD, the user's name stands in the URL.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from bodega.errors import BadSettings

GROUP = "bodega"
PASSWORD = "BODEGA_STREAMS_PASSWORD"  # noqa: S105 - the name of the variable that holds it
SCHEMES = ("kafka", "redis", "rediss")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a stream is. `password` is kept out of every text of it."""

    scheme: str
    hosts: str
    topic: str
    group: str = GROUP
    database: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    options: dict[str, str] = field(default_factory=dict)
    """Kafka: further settings of librdkafka, by its names."""

    @property
    def name(self) -> str:
        """What the store knows the stream by: the broker may move to another host, the stream stays the same."""
        return f"{'kafka' if self.scheme == 'kafka' else 'redis'}:{self.topic}?group={self.group}"

    def source(self, place: str) -> str:
        """What a dead letter says of where it came from."""
        return f"{self.name.partition('?')[0]}/{place}"

    @property
    def server(self) -> str:
        """The broker, for a person."""
        return f"{self.scheme}://{self.hosts}"


def address_of(url: str) -> Address:
    """The address that a URL says. Raises BadSettings."""
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError as error:
        raise _bad(url, str(error)) from error
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    way = [unquote(step) for step in parts.path.split("/") if step]
    database = way.pop(0) if len(way) == 2 and way[0].isdigit() and parts.scheme != "kafka" else "0"
    if parts.scheme not in SCHEMES or not hosts or len(way) != 1:
        raise _bad(url, parts.scheme or "no scheme")
    group = options.pop("group", GROUP) or GROUP
    if options and parts.scheme != "kafka":
        raise _bad(url, f"unknown: {', '.join(options)}")
    secret = unquote(password) or os.environ.get(PASSWORD, "")
    return Address(parts.scheme, hosts, way[0], group, int(database), unquote(user), secret, options)


def _bad(url: str, got: str) -> BadSettings:
    return BadSettings(
        "this address of a stream cannot be used",
        where=f"streams.url = {url.rpartition('@')[2]!r}",
        allowed="kafka://host:port/topic?group=bodega, or redis://host:port/key?group=bodega",
        got=got,
        next="correct streams.url; a password belongs into the environment variable BODEGA_STREAMS_PASSWORD",
    )
