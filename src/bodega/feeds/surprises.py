"""Our own reading of a row failed: a mistake of ours, or of a library. The row is kept aside, the others go on.

What is wrong with a row is refused in words, by reason. This is for everything else: without it one row nobody thought
of would fail its whole batch, and a stream would never get past it. The log holds where it broke.
Not for: what a row may be refused for, nor failures of the store.
"""

from __future__ import annotations

import logging

LOGGER = logging.getLogger("bodega.feeds")

FAILED = "failed"
"""The reason code of such rows."""

WORDS = (
    "our own reading of this row failed, which is a mistake of ours, not of the row; it is kept as it came. "
    "Next: report the trace in the log (bodega.feeds), and retry the row after an update"
)

TOLD = 10
"""Traces that one reader logs: a feed of a million such rows must not fill the disk with them."""


class Surprises:
    """Those of one reader."""

    def __init__(self) -> None:
        self.count = 0

    def note(self, error: Exception, line: int) -> str:
        """The error's name; its trace goes to the log."""
        self.count += 1
        if self.count <= TOLD:
            LOGGER.error("a row could not be read", exc_info=error, extra={"facts": {"line": line}})
        return type(error).__name__
