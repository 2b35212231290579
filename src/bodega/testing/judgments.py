"""A store of judgments in memory: what a test hands to a shop instead of a database, and the promises of both."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from bodega.protocols import JudgmentStore, Written
from bodega.schema.judgments import Judgment, JudgmentCount, Origin
from bodega.testing._broken import require

Key = tuple[str, str, str, str]


class MemoryJudgments:
    """Implements `protocols.JudgmentStore` in a dictionary."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[Key, Judgment] = {}

    def put(self, judgments: Sequence[Judgment]) -> Written:
        with self._lock:
            return self._put({each.key: each for each in judgments if "\0" not in "".join((*each.key, each.note))})

    def replace(self, origin: Origin, who: str, judgments: Sequence[Judgment]) -> Written:
        named = {each.key: each for each in judgments if each.key[2:] == (origin, who)}
        with self._lock:
            self._held = {key: held for key, held in self._held.items() if key[2:] != (origin, who) or key in named}
            return self._put({key: each for key, each in named.items() if "\0" not in "".join((*key, each.note))})

    def delete(self, keys: Sequence[Key]) -> int:
        with self._lock:
            return sum(self._held.pop(key, None) is not None for key in set(keys))

    def list(
        self, *, query: str = "", origin: str = "", who: str = "", limit: int = 100, offset: int = 0
    ) -> Sequence[Judgment]:
        wanted = [
            each
            for each in self.scan()
            if query in ("", each.query) and origin in ("", each.origin) and who in ("", each.who)
        ]
        return wanted[offset : offset + limit]

    def scan(self) -> Iterator[Judgment]:
        with self._lock:
            return iter([self._held[key] for key in sorted(self._held)])

    def counts(self) -> Sequence[JudgmentCount]:
        found = [*self.scan()]
        judges = sorted({each.key[2:] for each in found})
        return [
            JudgmentCount(
                origin=origin,  # type: ignore[arg-type]
                who=who,
                judgments=sum(each.key[2:] == (origin, who) for each in found),
                queries=len({each.query for each in found if each.key[2:] == (origin, who)}),
            )
            for origin, who in judges
        ]

    def _put(self, named: dict[Key, Judgment]) -> Written:
        added = changed = 0
        for key, each in named.items():
            held = self._held.get(key)
            if held is not None and (held.grade, held.note) == (each.grade, each.note):
                continue
            added, changed = added + (held is None), changed + (held is not None)
            self._held[key] = msgspec.structs.replace(each, time=each.time or time.time())
        return Written(added=added, changed=changed, unchanged=len(named) - added - changed)


def judged(query: str, item: str, grade: int, origin: Origin = "human", who: str = "ann") -> Judgment:
    """A judgment for tests, at a known time."""
    return Judgment(query=query, item=item, grade=grade, origin=origin, who=who, time=1_700_000_000.0)


def keeps_one_opinion_a_judge(store: JudgmentStore) -> None:
    first = [judged("tea", "b", 3), judged("tea", "a", 1), judged("tea", "a", 2, "clicks", "pbm"), judged("中", "a", 0)]
    told = store.put(first)
    require((told.added, told.changed) == (4, 0), "new opinions are counted as added", got=told)
    require(list(store.scan()) == sorted(first, key=lambda each: each.key), "opinions come in the order of their keys")
    told = store.put([judged("tea", "a", 1), judged("tea", "b", 2)])
    require((told.changed, told.unchanged) == (1, 1), "an equal opinion given again is no change", got=told)
    require(store.list(query="tea", origin="human")[1].grade == 2, "a newer opinion takes the older one's place")
    require([each.item for each in store.list(query="tea", limit=2, offset=1)] == ["a", "b"], "limit and offset page")
    require(store.list(who="pbm") == [first[2]], "opinions can be asked for by their judge")


def replaces_what_one_judge_said(store: JudgmentStore) -> None:
    store.put([judged("tea", "a", 1), judged("tea", "a", 2, "clicks", "pbm"), judged("oil", "c", 3, "clicks", "pbm")])
    told = store.replace(
        "clicks", "pbm", [judged("oil", "c", 3, "clicks", "pbm"), judged("oil", "d", 1, "clicks", "pbm")]
    )
    require((told.added, told.unchanged) == (1, 1), "what stays is unchanged, what is new is added", got=told)
    left = [each.key[:3] for each in store.scan()]
    wanted = [("oil", "c", "clicks"), ("oil", "d", "clicks"), ("tea", "a", "human")]
    require(left == wanted, "other judges keep their opinions, this one has no others", got=left)
    store.replace("clicks", "pbm", [])
    require([each.origin for each in store.scan()] == ["human"], "a judge may take back everything")


def counts_by_judge_and_removes(store: JudgmentStore) -> None:
    store.put(
        [judged("tea", "a", 1), judged("tea", "b", 1), judged("oil", "a", 1, who="bob"), judged("x", "y", 0, "llm")]
    )
    told = [(each.origin, each.who, each.judgments, each.queries) for each in store.counts()]
    wanted = [("human", "ann", 2, 1), ("human", "bob", 1, 1), ("llm", "ann", 1, 1)]
    require(told == wanted, "counts are by origin and judge", got=told)
    require(store.delete([judged("tea", "a", 1).key, ("no", "such", "human", "")]) == 1, "delete says what was there")
    require(len(list(store.scan())) == 3, "what was removed is gone, nothing else")


def keeps_any_text(store: JudgmentStore) -> None:
    odd = "a'b\"; DROP TABLE judgments; -- <b>\u202e中文"
    store.put([judged(odd, odd, 3), judged("nul", "a\0b", 1)])
    held = list(store.scan())
    require([(each.query, each.item) for each in held] == [(odd, odd)], "texts come back; a NUL is left out", got=held)
    stamped = Judgment(query="q", item="i", grade=1)
    store.put([stamped])
    require(store.list(query="q")[0].time > 1_700_000_000, "an opinion without a time is stamped")


JUDGMENT_CHECKS: tuple[Callable[[JudgmentStore], None], ...] = (
    keeps_one_opinion_a_judge,
    replaces_what_one_judge_said,
    counts_by_judge_and_removes,
    keeps_any_text,
)
