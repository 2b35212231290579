"""Where do streams of events come from? A broker of the Kafka protocol, or a Redis (Valkey) stream, behind one door.

    stream = open_stream("kafka://broker:9092/clicks?group=bodega", store.events.offsets)
    polled = stream.poll(500, seconds=1.0)      # records, and how far the store is once they are in it
    ...                                         # store both in one transaction
    stream.commit(polled)                       # only now the broker is told

Both implement `protocols.Stream`. The truth of how far we are lies in *our* store, beside the events; what the broker
remembers serves its own tools. Not for: meaning (`events.consuming` parses), or keeping anything.
"""

from __future__ import annotations

from bodega.adapters.streams.address import address_of
from bodega.adapters.streams.opening import open_publisher, open_stream

__all__ = ["address_of", "open_publisher", "open_stream"]
