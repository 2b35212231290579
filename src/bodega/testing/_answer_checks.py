"""The promises of a log of answers, one function each; `checks.check_answer_store` runs them all."""

from __future__ import annotations

from collections.abc import Callable

from bodega.protocols import AnswerStore
from bodega.schema.answers import Answered
from bodega.testing._broken import require

Check = Callable[[AnswerStore], None]


def _page(number: int, **values: object) -> Answered:
    found = {
        "request_id": f"r{number:03}",
        "time": 1_700_000_000.25 + number,
        "place": "search",
        "user": f"u{number % 3}",
        "session": f"s{number}",
        "query": "电视 <b>",
        "total": 240,
        "items": tuple(f"i{each}" for each in range(number % 4)),
        "sources": tuple(("lexical", "", "rule")[each % 3] for each in range(number % 4)),
        "offset": 20 * (number % 2),
        "snapshot": "abc",
        "arms": {"colours": "warm"} if number % 2 else {},
        "teams": (0, 1, -1)[: number % 4],
        "credit": (0.5, -0.5, 0.0)[: number % 4],
        "degraded": ("dense: left out",) if number == 5 else (),
        "milliseconds": 3.5,
    }
    return Answered(**{**found, **values})  # type: ignore[arg-type]


def keeps_lines_as_they_were_and_once(store: AnswerStore) -> None:
    pages = [_page(number) for number in range(40)]
    store.put(pages[::-1])
    store.put([*pages[:10], _page(3, place="home")])
    require(list(store.scan()) == pages, "lines do not come back as they were, each once, in order of time")
    require(store.find("r003") == pages[3], "a line put twice is not kept as it was first")
    require(store.find("r999") is None, "a line is found that never was")
    store.put([])


def scans_a_part(store: AnswerStore) -> None:
    pages = [_page(number) for number in range(10)]
    store.put(pages)
    found = list(store.scan(pages[2].time, pages[5].time))
    require(found == pages[2:5], "scan does not begin with `since` or does not end before `until`")
    same = [_page(20 + number, time=pages[9].time) for number in range(3)]
    store.put(same[::-1])
    require(list(store.scan(pages[9].time)) == [pages[9], *same], "lines of one moment are not in order of their ids")


def forgets_people_and_nobody_else(store: AnswerStore) -> None:
    pages = [_page(number) for number in range(30)] + [_page(40, user="", session="s1"), _page(41, user="", session="")]
    store.put(pages)
    gone = [page for page in pages if page.user == "u1" or page.session in ("s2", "s1")]
    require(store.forget(["u1"], ["s2", "s1"]) == len(gone), "forgetting does not say how many lines were removed")
    left = [page for page in pages if page not in gone]
    require(list(store.scan()) == left, "something else is left than the lines of others")
    require(store.forget(["", "nobody"], [""]) == 0, "forgetting nobody removes the lines of nobody in particular")
    require(list(store.scan()) == left, "forgetting nobody changes something")


def prunes_what_is_old(store: AnswerStore) -> None:
    pages = [_page(number) for number in range(12)]
    store.put(pages)
    require(store.prune(pages[5].time) == 5, "prune does not remove exactly what is older")
    require(list(store.scan()) == pages[5:], "prune removes what is not older, or leaves what is")
    require(store.prune(pages[5].time) == 0, "pruning again finds something")


ANSWER_CHECKS: tuple[Check, ...] = (
    keeps_lines_as_they_were_and_once,
    scans_a_part,
    forgets_people_and_nobody_else,
    prunes_what_is_old,
)
