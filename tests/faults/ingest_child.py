"""Not a test: the process that `test_kill_ingest.py` kills. A warm parent forks a fresh ingester for every round.

Commands on stdin, one JSON object a line: {"url", "acks", "round", "mode"}; it answers with the child's pid. A child
delivers batches from three threads through the real store and writes the number of a batch to the `acks` file once the
batch is acknowledged. Modes: `real` acknowledges when the future has resolved; `early` is the broken twin that
acknowledges what was merely queued.
"""

import json
import os
import sys
import threading
from datetime import UTC, datetime, timedelta

from bodega.adapters.sql import SqlStore
from bodega.schema import Event, EventType

SIZE = 7
START = datetime(2026, 1, 1, tzinfo=UTC)


def batch(round_: int, number: int) -> list[Event]:
    """Batch `number` of a round: the content says where it comes from, the ids repeat when it is delivered again."""
    return [
        Event(
            type=EventType.VIEW,
            time=START + timedelta(seconds=round_, microseconds=number * SIZE + row),
            id=f"{round_}-{number}-{row}",
            session=f"s{number}",
            item=f"{round_}:{number}:{row}",
        )
        for row in range(SIZE)
    ]


def deliver(store: SqlStore, acks: int, round_: int, lane: int, mode: str) -> None:
    """Deliver batches lane, lane + 3, ... for ever; every fifth twice, as a client does that heard no answer."""
    number = lane
    while True:
        for _ in range(2 if number % 5 == 0 else 1):
            future = store.events.submit(batch(round_, number))
            if mode == "real":
                future.result()
        os.write(acks, f"{number}\n".encode())
        number += 3


def child(url: str, acks: str, round_: int, mode: str) -> None:
    store = SqlStore.open(url)
    file = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    lanes = [threading.Thread(target=deliver, args=(store, file, round_, lane, mode)) for lane in range(3)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            try:
                child(order["url"], order["acks"], order["round"], order["mode"])
            finally:
                os._exit(3)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status), flush=True)


if __name__ == "__main__":
    main()
