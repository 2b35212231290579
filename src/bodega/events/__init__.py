"""What happened, may we use it? From rows in anybody's spelling to clean events, and from events to a `Log`.

Useful for: reading event feeds and HTTP batches (`parse_event`, `import_events`), turning the stored log into the
arrays that models learn from (`build_log`). Not for: storing (adapters) or learning (retrieval).
Invariants: a row becomes exactly one event or one dead letter with a reason; nothing is dropped in silence; the same
rows give the same events whatever the order.
"""

from bodega.events.importing import EventOptions, import_events
from bodega.events.log import LogFacts, build_log
from bodega.events.parse import EventReader, parse_event
from bodega.events.reasons import Refusal

__all__ = ["EventOptions", "EventReader", "LogFacts", "Refusal", "build_log", "import_events", "parse_event"]
