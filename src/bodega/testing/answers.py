"""What was answered, in memory: the promise of `protocols.AnswerStore` except durability."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from bodega.schema.answers import Answered


class MemoryAnswers:
    """Implements `protocols.AnswerStore`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[str, Answered] = {}

    def put(self, answers: Sequence[Answered]) -> None:
        with self._lock:
            for each in answers:
                self._answers.setdefault(each.request_id, each)

    def scan(self, since: float = 0.0, until: float | None = None) -> Iterator[Answered]:
        with self._lock:
            held = sorted(self._answers.values(), key=lambda each: (each.time, each.request_id))
        return (each for each in held if since <= each.time and (until is None or each.time < until))

    def find(self, request_id: str) -> Answered | None:
        return self._answers.get(request_id)

    def count(self) -> int:
        return len(self._answers)

    def prune(self, before: float) -> int:
        return self._remove([name for name, each in self._answers.items() if each.time < before])

    def forget(self, users: Sequence[str] = (), sessions: Sequence[str] = ()) -> int:
        meant = (set(users) - {""}, set(sessions) - {""})
        held = self._answers.items()
        return self._remove([name for name, each in held if each.user in meant[0] or each.session in meant[1]])

    def _remove(self, names: Sequence[str]) -> int:
        with self._lock:
            return sum(self._answers.pop(name, None) is not None for name in names)
