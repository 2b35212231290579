"""A shop of seven kinds whose tastes are known: a runner gets what is about running, of every kind, within quotas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

import bodega
from bodega.engine.shop import Shop
from bodega.schema import Filter, Page, Request, Sort
from bodega.settings import Kind, Settings, Understand
from bodega.testing.mixed import KINDS, MixedSpec, MixedWorld, make_mixed
from bodega.wiring import init_shop

CHOSEN = {
    "article": Kind(title="Articles", title_zh="文章", fields=("author",), least={"home": 2}, most={"home": 3}),
    "video": Kind(most={"home": 1, "search": 2}),
    "person": Kind(most={"home": 0, "category": 0}),
}


@pytest.fixture(scope="module")
def town() -> MixedWorld:
    return make_mixed(MixedSpec(of_each=4, n_shoppers=60, visits=10))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, town: MixedWorld) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("mixed") / "shop"
    file = init_shop(folder, Settings(understand=Understand(teacher="none")))
    tables = "\n".join(
        f"[kinds.{name}]\ntitle = '{kind.title}'\ntitle_zh = '{kind.title_zh}'\nfields = {list(kind.fields)}\n"
        f"least = {{ {', '.join(f'{at} = {n}' for at, n in kind.least.items())} }}\n"
        f"most = {{ {', '.join(f'{at} = {n}' for at, n in kind.most.items())} }}\n"
        for name, kind in CHOSEN.items()
    )
    file.write_text(file.read_text("utf-8") + "\n" + tables, "utf-8")
    with bodega.open(folder) as opened:
        opened.catalog.upsert(town.items)
        opened.events.record(town.events)
        assert opened.learn().published
        yield opened


def kinds_of(page: Page) -> Counter[str]:
    return Counter(hit.item.kind for hit in page)


def a_runner(town: MixedWorld) -> str:
    return next(user for user, hobbies in town.cares.items() if "running" in hobbies)


def test_a_runner_is_shown_what_is_about_running_and_the_other_hobby(shop: Shop, town: MixedWorld) -> None:
    shares = []
    for user, hobbies in list(town.cares.items())[:12]:
        page = shop.recommend("home", user=user, k=20)
        shares.append(sum(town.about[name] in hobbies for name in page.ids) / len(page))
    assert sum(shares) / len(shares) >= 0.7  # by chance 2 of 7


def test_articles_for_a_runner_are_about_running(shop: Shop, town: MixedWorld) -> None:
    only = (Filter(field="kind", values=("article",)),)
    runners = [user for user, hobbies in town.cares.items() if "running" in hobbies]
    right = []
    for user in runners:
        page = shop.answer(Request(place="home", user=user, filters=only, k=4))
        assert {hit.item.kind for hit in page} == {"article"}
        right += [town.about[name] in town.cares[user] for name in page.ids]
    assert len(runners) >= 8
    assert sum(right) / len(right) >= 0.7  # by chance 2 of 7


def test_a_search_answers_across_kinds_and_counts_them(shop: Shop, town: MixedWorld) -> None:
    page = shop.search("running", k=100, facets=("kind",))
    assert {town.about[name] for name in page.ids[:20]} == {"running"}
    counts = {value.value: value.count for value in page.facets[0].values}
    assert sum(counts.values()) == page.total  # quotas move, they take nothing away
    assert set(counts) >= {"product", "article", "video", "group"}
    for kind, count in counts.items():
        narrowed = shop.search("running", k=100, filters=(Filter(field="kind", values=(kind,)),))
        assert narrowed.total == count == len(narrowed)


def test_quotas_hold_on_every_page(shop: Shop, town: MixedWorld) -> None:
    for user in list(town.cares)[:8]:
        for offset in (0, 10, 20):
            counts = kinds_of(shop.answer(Request(place="home", user=user, k=10, offset=offset)))
            assert 2 <= counts["article"] <= 3
            assert counts["video"] <= 1
            assert counts["person"] == 0
    assert kinds_of(shop.search("running", k=10))["video"] <= 2


def test_pages_do_not_overlap(shop: Shop, town: MixedWorld) -> None:
    user = a_runner(town)
    pages = [shop.answer(Request(place="home", user=user, k=10, offset=offset)).ids for offset in (0, 10, 20)]
    assert len({name for page in pages for name in page}) == sum(map(len, pages))


def test_a_sort_of_the_shopper_is_left_alone(shop: Shop) -> None:
    page = shop.answer(Request(place="category", k=10, sort=Sort.NEWEST))
    created = [hit.item.created for hit in page]
    assert created == sorted(created, reverse=True)  # type: ignore[type-var]


def test_what_a_quota_lifted_says_so(shop: Shop, town: MixedWorld) -> None:
    told = [
        (hit.item.kind, reason.text)
        for user in town.cares
        for hit in shop.answer(Request(place="home", user=user, k=10))
        for reason in hit.why
        if reason.source == "quota"
    ]
    assert told
    assert set(told) == {("article", "A place on this page for: Articles")}


def test_what_is_not_sold_is_available(shop: Shop, town: MixedWorld) -> None:
    page = shop.search("running", k=100, filters=(Filter(field="available", values=("true",)),))
    assert {hit.item.kind for hit in page} >= set(KINDS) - {"person", "product"}
    assert all(hit.item.available for hit in page)


def test_a_kind_that_nobody_bounds_costs_nothing(small_shop: Shop) -> None:
    assert small_shop.engine.kinds is None
