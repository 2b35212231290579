"""Worlds whose judgments are known: grades follow what is wanted, thin evidence is silent, agreement decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from bodega.engine.judged.clicks import judged_by_clicks, search_log
from bodega.engine.judged.door import JudgedDoors, Judgments
from bodega.engine.judged.report import kept, measured, relevance
from bodega.evaluation.judgments import agreements, asked_enough, graded, merged, shown_in
from bodega.protocols import NoProgress
from bodega.schema import Event, EventType, Item, ItemTable
from bodega.schema.answers import Answered
from bodega.schema.judgments import Judgment
from bodega.settings import Settings, Understand
from bodega.testing.fakes import MemoryStores
from bodega.testing.judgments import judged

ITEMS = [Item(id=f"i{n}", title=f"Thing {n}") for n in range(8)]
WANTED = np.linspace(0.05, 0.9, 8)
"""Chance that who looks at item n wants it; the shop shows the worst first."""


def pages(n: int, people: int, seed: int = 1, query: str = "thing") -> list[Event]:
    """So many pages, read by place: the first is always looked at, the last one in four."""
    from datetime import UTC, datetime, timedelta

    rng, out = np.random.default_rng(seed), list[Event]()
    for page in range(n):
        when = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=page)
        order = np.argsort(0.4 * np.arange(8) + 2.5 * rng.random(8))
        who = {"user": f"{query}{page % people}", "session": f"{query}-s{page}", "query": query, "time": when}
        for place, item in enumerate(order.tolist()):
            out.append(Event(type=EventType.IMPRESSION, item=f"i{item}", position=place, **who))
            if rng.random() < WANTED[item] / (1 + 0.4 * place):
                out.append(Event(type=EventType.CLICK, item=f"i{item}", position=place, **who))
    return out


@pytest.fixture(scope="module")
def stores() -> MemoryStores:
    made = MemoryStores()
    made.catalog.upsert(ITEMS)
    made.events.append(pages(900, 40) + pages(6, 6, 2, "rare") + pages(300, 2, 3, "secret"))
    return made


def log_of(stores: MemoryStores):
    items = ItemTable.of(stores.catalog.scan())
    return search_log(stores.events, items, Settings(), who=None)[0], items


@pytest.mark.parametrize("model", ["pbm", "sdbn"])
def test_grades_follow_what_is_wanted_and_not_the_places(stores, model):
    log, items = log_of(stores)
    found, report = judged_by_clicks(log, items, 20, model)
    grades = {each.item: each.grade for each in found if each.query == "thing"}
    assert len(grades) >= 6
    order = sorted(grades, key=lambda name: int(name[1:]))
    assert spearmanr([grades[name] for name in order], range(len(order))).statistic > 0.85
    assert grades[order[-1]] >= 2 > grades[order[0]]
    assert report.graded == len(found) == sum(report.by_grade)


def test_queries_of_few_people_tell_nothing_and_thin_evidence_is_silent(stores):
    log, items = log_of(stores)
    found, report = judged_by_clicks(log, items, 20, "pbm")
    assert {each.query for each in found} == {"thing"}, "two people asked 'secret' 300 times: it stays theirs"
    assert report.queries == 1
    anyone, _ = judged_by_clicks(log, items, 1, "pbm")
    rare = [each for each in anyone if each.query == "rare"]
    assert len(rare) < 4, "six looks say little of eight items"
    assert {each.query for each in anyone} >= {"thing", "secret"}
    assert asked_enough(np.array([0, 0, 1]), np.array([1, 1, 2]), 2).tolist() == [False, False, False]


def test_an_interval_shrinks_with_evidence(stores):
    log, _ = log_of(stores)
    log = log.where(log.query == log.queries.index("thing"))
    few, many = (graded(shown_in(log.where(log.time < log.time[0] + 60 * n))) for n in (40, 900))
    width = [float((each.high - each.low).mean()) for each in (few, many)]
    assert width[1] < 0.5 * width[0]
    assert few.sure.mean() < many.sure.mean()


def test_a_shop_that_sends_clicks_only_is_judged_by_its_log_of_answers(stores):
    silent, answers = MemoryStores(), dict[str, Answered]()
    silent.catalog.upsert(ITEMS)
    events = pages(900, 40)
    silent.events.append([each for each in events if each.type is EventType.CLICK])
    for each in events:
        if each.type is EventType.IMPRESSION:
            held = answers.get(each.session)
            shown = (*(held.items if held else ()), each.item)
            answers[each.session] = Answered(
                request_id=each.session, time=each.time.timestamp(), place="search", user=each.user,
                session=each.session, query=each.query, items=shown,
            )  # fmt: skip
    items = ItemTable.of(silent.catalog.scan())
    log, answered = search_log(silent.events, items, Settings(), who=None, answers=answers.values())
    assert answered
    found = {each.item: each.grade for each in judged_by_clicks(log, items, 20, "pbm")[0]}
    log, _ = log_of(stores)
    usual = {each.item: each.grade for each in judged_by_clicks(log, items, 20, "pbm")[0] if each.query == "thing"}
    both = found.keys() & usual.keys()
    assert len(both) >= 5
    assert np.mean([abs(found[name] - usual[name]) <= 1 for name in both]) == 1.0


def test_people_come_before_clicks_and_a_model_last_if_ever():
    rng = np.random.default_rng(1)
    grades = rng.integers(0, 4, 60)
    people = [judged("q", f"i{n}", int(grade)) for n, grade in enumerate(grades)]
    good = [judged("q", f"i{n}", int(grade), "llm", "m") for n, grade in enumerate(grades)]
    noise = [judged("q", f"i{n}", int(rng.integers(0, 4)), "llm", "m") for n in range(60)]
    clicks = [judged("q", "i0", 3 - int(grades[0]), "clicks", "pbm"), judged("q", "only", 2, "clicks", "pbm")]
    more = [judged("q", "new", 3, "llm", "m")]
    gold = merged([*people, *clicks, *good, *more], rng)
    assert gold.llm
    assert (gold.grades["q"]["i0"], gold.grades["q"]["only"], gold.grades["q"]["new"]) == (int(grades[0]), 2, 3)
    doubted = merged([*people, *clicks, *noise, *more], rng)
    assert not doubted.llm
    assert "new" not in doubted.grades["q"]
    told = {(each.one, each.other): each.agreement for each in agreements([*people, *good, *clicks], rng)}
    assert told["human", "llm"].kappa == pytest.approx(1.0)
    assert told["human", "clicks"].n == 1
    assert merged([judged("q", "a", 1), judged("q", "a", 2, who="bob")], rng).grades["q"]["a"] == 2, "half goes up"


def test_the_report_says_surely_worse_only_where_it_is(tmp_path: Path):
    queries = [f"q{n}" for n in range(40)]
    grades = {query: {"a": 3, "b": 2, "c": 0} for query in queries}
    figures = measured([["a", "b"], ["c", "x", "b"]], [grades["q0"], grades["q1"]])
    assert figures["ndcg@10"].tolist() == pytest.approx([1.0, (2 / 2) / (3 + 2 / np.log2(3))])
    assert figures["mrr"].tolist() == pytest.approx([1.0, 1 / 3])
    assert figures["recall@50"].tolist() == [1.0, 0.5]

    lists = {"good": ["a", "b", "c"], "bad": ["c", "b", "a"]}
    made = MemoryStores()
    made.judgments.put([Judgment(query=q, item=i, grade=g, who="ann") for q in queries for i, g in grades[q].items()])

    def doors(served: str, before: str) -> Judgments:
        systems = {"served": lambda _: lists[served], "before": lambda _: lists[before], "bm25": lambda _: ["x"]}
        return Judgments(
            JudgedDoors(tmp_path, made, Settings(), lambda: None, lambda *_: [], lambda: (systems, "new", "old"))
        )

    worse = doors("bad", "good").report()
    assert worse.worse
    assert worse.verdict == "worse"
    assert worse.changes["bm25"]["ndcg@10"].state == "better"
    assert len(worse.worst) == 20
    better = doors("good", "bad").report()
    assert (better.worse, better.verdict) == (False, "better")
    assert doors("good", "good").report().verdict == "open"
    assert [each.verdict for each in kept(tmp_path)] == ["open", "better", "worse"]
    assert relevance(doors("good", "bad").gold(), {"served": lambda _: ["z"]}, NoProgress()).unjudged == 1.0


def test_the_queue_puts_quarrels_first_and_never_shows_what_few_asked(tmp_path: Path):
    made = MemoryStores()
    made.catalog.upsert(ITEMS)
    made.events.append(pages(40, 25) + pages(40, 25, 2, "other") + pages(99, 2, 3, "secret"))
    settings = Settings(understand=Understand(people=20))
    shop = Judgments(JudgedDoors(tmp_path, made, settings, lambda: None, lambda *_: ["i0", "i1"], lambda: ({}, "", "")))
    shop.from_clicks()
    made.judgments.put([judged("other", "i0", 0, "clicks", "pbm"), judged("other", "i0", 3, "human", "bob")])
    first, second = shop.queue("ann")
    assert (first.query, first.items[0].why) == ("other", "quarrel")
    assert second.query == "thing"
    shop.put([Judgment(query=" Other ", item=name, grade=1) for name in ("i0", "i1")], who="ann")
    assert [each.query for each in shop.queue("ann")] == ["thing"], "what one has judged does not come again"
    assert shop.progress().asked == 2
