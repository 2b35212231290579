"""A consumer in a process of its own: reads the stream into the store until it is killed. See test_streams_real.py."""

import sys
import threading

from bodega.adapters.sql import SqlStore
from bodega.adapters.streams import open_stream
from bodega.events.consuming import Consumer
from bodega.settings import Settings, Streams

if __name__ == "__main__":
    url, database = sys.argv[1:]
    with SqlStore.open(database) as store:
        consumer = Consumer(
            lambda: open_stream(url, store.events.offsets),
            lambda events, along: store.events.submit(events, along=along),
            Settings(streams=Streams(batch=50)),
        )
        print("reading", flush=True)
        consumer.run(threading.Event())
