"""What has happened since the snapshot, and does the next answer know? Counts that grow beside models that stand still.

    event (durable) -> shopper    the newest steps of everybody who came since the snapshot      shoppers.py
                    -> votes      what leads to what, what is bought together                    votes.py
                    -> wanted     how much each item is wanted, what is rising                   wanted.py
                    -> words      what was chosen after which query, what many people ask        words.py
    request         -> view       the counts over one shelf, who touched what is new             view.py
                    -> sources    the snapshot's sources with these counts on top                sources.py
    restart         -> the events after the snapshot are read again: the same counts             overlay.py

A snapshot never changes: what is counted here lies beside it and is dropped when the next one is served. The counts are
those that a fit over the log and the new events would make (a congruence test compares them), but for what is named
where it is left out: pairs that the snapshot had cut, what happened long before it, other models' weights.
All counts are whole numbers (votes in 2^-20), so that sums do not depend on the order in which events arrive.
Cost: under 20 us an event, some percent of an answer; nothing where `[updates] counts` is off. Not for: learning.
"""

from bodega.engine.live.overlay import Overlay
from bodega.engine.live.sources import newcomers, over
from bodega.engine.live.view import View

__all__ = ["Overlay", "View", "newcomers", "over"]
