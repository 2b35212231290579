"""What did this shopper see first? Who was shown something as a guest keeps it after signing in.

A shopper is one unit (`u:key`), a guest is one by the visit (`s:visit`). The arm is a digest of the unit, so nothing
need be remembered, but for one moment: when a guest turns out to be somebody, two units meet, and what was shown first
stays (`evaluation.experiments.sticky`). From then on the pages of the account say so. What was shown when is read from
the log of answers, once a minute for each pair of shopper and visit, and from this process's own memory for pages that
are not written yet.
Cost: a look at a dict; .5 ms (SQLite) for a pair that is new. Not for: who is one shopper (`engine.privacy`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from bodega.errors import BodegaError
from bodega.evaluation.experiments import sticky
from bodega.protocols import ExperimentStore
from bodega.schema.experiments import Exposure

KEPT = 50_000
"""Units that this process remembers to have shown something."""


class Sticky:
    """Who was exposed to what first, as far as it decides. Safe from several threads."""

    def __init__(self, store: ExperimentStore) -> None:
        self._store = store
        self._shown: OrderedDict[str, dict[str, tuple[float, str]]] = OrderedDict()
        """{unit: {experiment: (time, arm)}}, oldest first."""
        self._lock = threading.Lock()

    def note(self, unit: str, arms: dict[str, str], now: float) -> None:
        """This unit was shown these arms."""
        with self._lock:
            held = self._shown.get(unit)
            if held is None:
                held = self._shown[unit] = {}
                if len(self._shown) > KEPT:
                    self._shown.popitem(last=False)
            for experiment, arm in arms.items():
                held.setdefault(experiment, (now, arm))

    def first(self, users: Sequence[str], session: str, since: float) -> dict[str, str]:
        """{experiment: arm that this shopper saw first}. `users`: all ids of the account; `session`: a visit, or ""."""
        units = [*(f"u:{name}" for name in users), *([f"s:{session}"] if session else [])]
        seen: dict[str, dict[str, tuple[float, str]]] = {}
        for each in self._kept(users, [session] if session else [], since):
            held = seen.setdefault(each.experiment, {})
            held[each.unit] = min(held.get(each.unit, (each.time, each.arm)), (each.time, each.arm))
        with self._lock:
            for unit in units:
                for experiment, shown in self._shown.get(unit, {}).items():
                    held = seen.setdefault(experiment, {})
                    held[unit] = min(held.get(unit, shown), shown)
        found = {}
        for experiment, held in seen.items():
            decides = sticky(units, held)
            if decides in held:
                found[experiment] = held[decides][1]
        return found

    def _kept(self, users: Sequence[str], sessions: Sequence[str], since: float) -> Sequence[Exposure]:
        try:
            return self._store.exposures(users, sessions, since)
        except BodegaError:  # a store that is away costs a page nothing: what this process knows decides
            return ()

    def clear(self) -> None:
        """Forget what was shown: it is in the log."""
        with self._lock:
            self._shown.clear()
