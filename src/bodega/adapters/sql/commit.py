"""How do many small batches share one disk flush? One thread writes whatever waits in one transaction.

A durable commit costs a flush (2-3 ms here) whether it holds one event or ten thousand. So callers queue their batches
and get a future; the writer takes all that wait, commits once, and only *then* resolves the futures: acknowledged means
durable. While it writes, the next group gathers, so the group size follows the load by itself: no timer, no delay when
idle. The queue is bounded: a caller that is faster than the disk is made to wait, then refused.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from bodega import failpoints
from bodega.errors import LimitError, StoreError
from bodega.protocols import Along, Written
from bodega.schema import Event

Row = tuple[Any, ...]

WAITING_BATCHES = 1_024
GROUP_ROWS = 20_000
"""A group stops growing here, so that the first in it does not wait for ever (about 0.3 s)."""


@dataclass(slots=True)
class Batch:
    """Rows to store, and what is stored with them or not at all."""

    rows: Sequence[Row]
    along: Along | None = None
    events: Sequence[Event] = ()
    """What the rows were made of; only where `along` wants to know."""
    future: Future[Written] = field(default_factory=Future)


class GroupCommit:
    """Batches in, futures out. `write` stores a group of batches in one transaction and says what became of each."""

    def __init__(self, write: Callable[[Sequence[Batch]], list[Written]]) -> None:
        self._write = write
        self._queue: queue.Queue[Batch | None] = queue.Queue(WAITING_BATCHES)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(self, batch: Batch, *, wait: float = 10.0) -> Future[Written]:
        """Queue a batch. Waits up to `wait` seconds for room in the queue, then raises LimitError."""
        with self._lock:
            self._start()
        try:
            self._queue.put(batch, block=wait > 0, timeout=wait or None)
        except queue.Full:
            raise LimitError(
                "events come faster than the disk takes them",
                where="events.submit",
                allowed=f"{WAITING_BATCHES:,} waiting batches",
                next="send larger batches (500 events), or wait a second and send this one again",
            ) from None
        if self._closed:  # closed between the check above and the put: nobody may read the queue any more
            self._refuse_waiting()
        return batch.future

    def close(self) -> None:
        """Write what waits, then stop. Later batches are refused."""
        with self._lock:
            self._closed = True
            thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join()
        self._refuse_waiting()

    def _start(self) -> None:
        if self._closed:
            raise _closed()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="bodega-commit", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        stop = False
        while not stop:
            first = self._queue.get()
            group = [first] if first is not None else []
            stop = first is None
            size = len(first.rows) if first is not None else 0
            while not stop and size < GROUP_ROWS:
                try:
                    batch = self._queue.get_nowait()
                except queue.Empty:
                    break
                if batch is None:
                    stop = True
                else:
                    group.append(batch)
                    size += len(batch.rows)
            self._commit([batch for batch in group if batch.future.set_running_or_notify_cancel()])

    def _commit(self, group: list[Batch]) -> None:
        if not group:
            return
        try:
            if failpoints.ON:
                failpoints.reach("events.group")
            results = self._write(group)
        except StoreError as error:  # full, locked, broken: it would be the same for each alone
            for batch in group:
                batch.future.set_exception(error)
        except BaseException as error:
            if len(group) == 1:
                group[0].future.set_exception(error)
            else:  # one poisonous batch must not take its neighbours down
                for batch in group:
                    self._commit([batch])
        else:
            for batch, result in zip(group, results, strict=True):
                batch.future.set_result(result)

    def _refuse_waiting(self) -> None:
        while True:
            try:
                batch = self._queue.get_nowait()
            except queue.Empty:
                return
            if batch is not None and batch.future.set_running_or_notify_cancel():
                batch.future.set_exception(_closed())


def _closed() -> StoreError:
    return StoreError("the store is closed", where="events.submit", next="open the shop again")
