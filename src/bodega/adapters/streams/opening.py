"""Which kind of stream does this URL name? The libraries are loaded when one is opened, never before."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bodega.adapters.streams.address import address_of
from bodega.protocols import Offset, Publisher, Stream

Stored = Callable[[str], Mapping[int, Offset]]
"""How far a store is, by the name of a stream: `EventStore.offsets`."""


def open_stream(url: str, stored: Stored) -> Stream:
    """A consumer of the stream. Raises BadSettings, MissingExtra, StreamFailed."""
    address = address_of(url)
    if address.scheme == "kafka":
        from bodega.adapters.streams.kafka import KafkaStream

        return KafkaStream(address, stored)
    from bodega.adapters.streams.redis import RedisStream

    return RedisStream(address, stored)


def open_publisher(url: str) -> Publisher:
    """A producer into the stream. Raises BadSettings, MissingExtra, StreamFailed."""
    address = address_of(url)
    if address.scheme == "kafka":
        from bodega.adapters.streams.kafka import KafkaPublisher

        return KafkaPublisher(address)
    from bodega.adapters.streams.redis import RedisPublisher

    return RedisPublisher(address)
