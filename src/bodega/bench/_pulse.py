"""How fast is this machine just now? One bit of work, always the same, timed five times a second beside a measurement.

On a machine that others share, a core's speed changes by a factor of two within seconds, and with it every figure "a
core". What the work took is therefore printed beside such a figure: as CPU time, so that waiting for a core does not
count. Not for: turning one figure into another; what waits for memory slows down otherwise than this loop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

EVERY = 0.2
"""Seconds between two looks; one costs 1 to 4 ms."""
STEPS = 30_000


def beat() -> float:
    """Milliseconds of CPU that a loop over a small dictionary takes."""
    began, held = time.thread_time(), dict[int, int]()
    for number in range(STEPS):
        held[number & 255] = number
    return (time.thread_time() - began) * 1000


class Pulse:
    """What the work took, while anybody `watched`."""

    def __init__(self) -> None:
        self.beats: list[float] = []
        """Milliseconds, all of them."""

    @contextmanager
    def watched(self) -> Iterator[list[float]]:
        """Yields the list to which the times of this stretch are added."""
        stop, taken = threading.Event(), [beat()]

        def look() -> None:
            while not stop.wait(EVERY):
                taken.append(beat())

        thread = threading.Thread(target=look, name="bodega-pulse")
        thread.start()
        try:
            yield taken
        finally:
            stop.set()
            thread.join()
            self.beats += taken
