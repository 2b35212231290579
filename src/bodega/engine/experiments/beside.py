"""Another snapshot beside the current one: what an arm answers from that tries what was learned anew, or before.

It is opened as the current one is (every byte verified, arrays mapped into memory, so that all workers share them),
catches up with the events and the catalog since it was learned, and follows both while it serves. Cost: seconds to
open, on a thread that no page waits for; then what the models themselves take, memory that is mapped once a machine.
Not for: switching snapshots (`Shop.reload`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bodega.engine import browse
from bodega.engine.answer import Engine, Learned
from bodega.engine.learn import Parts, open_learned
from bodega.engine.live import Overlay
from bodega.engine.online import Shoppers
from bodega.engine.privacy import Privacy
from bodega.engine.shelf import Shelf
from bodega.engine.snapshot import Snapshots
from bodega.protocols import CatalogStore, EventStore
from bodega.schema import Event
from bodega.settings import Settings


class Beside:
    """One open snapshot: `learned` and `shelf` are what an engine takes."""

    def __init__(self, name: str, snapshots: Snapshots, parts: Parts) -> None:
        """Raises SnapshotCorrupt, NotLearned."""
        self.name = name
        self._opened = open_learned(snapshots, parts, name)
        self._cursor = self._opened.cursor
        self.learned: Learned = self._opened.learned
        self.shelf = Shelf.of(self._opened.items)
        self._engine: Engine | None = None

    def follow(self, events: EventStore, privacy: Privacy, shoppers: Shoppers, settings: Settings) -> None:
        """Count what happened since it was learned, and be ready to hear more."""
        if settings.updates.counts:
            live = Overlay(self._opened.learned.sources, self._opened.items, self._opened.until, settings)
            self.learned = replace(self._opened.learned, live=live)
            live.replay(privacy.learnable(events.scan(chunk=20_000, since=live.since)))
        browse.prepare(self.shelf)
        self._engine = Engine(self.learned, self.shelf, shoppers, settings)

    def observe(self, events: Sequence[Event]) -> None:
        """What became durable and may be learned from."""
        if self._engine is not None:
            self._engine.observe(events)
        elif self.learned.live is not None:
            self.learned.live.observe(events)

    def restock(self, catalog: CatalogStore) -> None:
        """Take in what changed in the catalog."""
        cursor, changes = catalog.changes(self._cursor)
        if changes:
            self.shelf = self.shelf.with_changes(changes)
        self._cursor = cursor
