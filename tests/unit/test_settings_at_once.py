"""Settings that need no restart act in a running shop, and every key says when it acts."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import bodega
from bodega.engine.configuring import Configuring
from bodega.engine.renewing import SettingsFile, merged, takes_effect
from bodega.errors import BadSettings
from bodega.schema import Item, Request
from bodega.service.desk import Desk
from bodega.service.limits import Buckets
from bodega.service.operate import Watch
from bodega.settings import Serve, Settings
from bodega.testing.canned import CannedShop


def test_only_what_needs_no_restart_is_taken_over() -> None:
    fresh = msgspec.convert(
        {"dials": {"personal": False}, "serve": {"port": 9, "burst": 3}, "answer": {"history": 5, "k_limit": 7}},
        Settings,
    )
    now = merged(Settings(), fresh)
    assert (now.dials.personal, now.serve.burst, now.answer.k_limit) == (False, 3, 7)
    assert (now.serve.port, now.answer.history) == (Settings().serve.port, Settings().answer.history)


def test_every_key_says_truly_when_it_acts(tmp_path: Path) -> None:
    for table in Configuring(tmp_path).held().tables:
        for choice in table.choices:
            assert choice.value is not None or choice.default is None, f"{choice.key} is shown without its value"
            path = choice.key.split(".")
            assert choice.takes_effect == takes_effect(path)
            if choice.kind == "switch":
                fresh = msgspec.convert(_tree(path, not choice.value), Settings)
                assert (merged(Settings(), fresh) != Settings()) == (choice.takes_effect == "now"), choice.key


def _tree(path: list[str], value: object) -> dict[str, object]:
    return {path[0]: value if len(path) == 1 else _tree(path[1:], value)}


def test_a_file_is_read_when_it_was_written_and_a_broken_one_once(tmp_path: Path) -> None:
    file = SettingsFile(tmp_path)
    assert file.news() is None
    (tmp_path / "bodega.toml").write_text("[serve]\nburst = 2\n")
    found = file.news()
    assert found is not None
    assert found.serve.burst == 2
    assert file.news() is None
    (tmp_path / "bodega.toml").write_text("[serve]\nburst = 'no'\n")
    with pytest.raises(BadSettings):
        file.news()
    assert file.news() is None


def test_a_running_shop_takes_over_what_was_written(tmp_path: Path) -> None:
    with bodega.open(tmp_path) as shop:
        shop.catalog.upsert([Item(id=f"{n}", title=f"Shoe {n}") for n in range(4)])
        shop.learn()
        desk = Desk.over(shop)
        watch = Watch(desk)
        assert shop.answer(Request(place="home", k=2)).ids
        text = "[answers]\nlog = false\n[answer]\nk_limit = 3\n[experiments]\nguard = false\n[serve]\nburst = 1\n"
        (tmp_path / "bodega.toml").write_text(text + "[judgments]\nqueries = 9\n")
        watch._look()
        assert (shop.settings.answer.k_limit, shop.engine.settings.answer.k_limit) == (3, 3)
        assert shop.judgments.progress().needed == 9
        assert desk.buckets.take("one") == 0.0
        assert desk.buckets.take("one") > 0.0, "the burst is 1 by now"
        assert not shop.experiments.guard._on
        shop.answering.flush(5.0)
        before = sum(1 for _ in shop.stores.answers.scan(0.0))
        shop.answer(Request(place="home", k=2))
        shop.answering.flush(5.0)
        assert sum(1 for _ in shop.stores.answers.scan(0.0)) == before


def test_another_rate_counts_from_now_on() -> None:
    clock = [0.0]
    buckets = Buckets(1.0, 5, lambda: clock[0])
    assert [buckets.take("a") for _ in range(5)] == [0.0] * 5
    buckets.renew(100.0, 2)
    clock[0] = 1.0
    assert [buckets.take("a") == 0.0 for _ in range(3)] == [True, True, False]


def test_a_shop_that_cannot_renew_goes_on(tmp_path: Path) -> None:
    desk = Desk.over(CannedShop([], Settings(), tmp_path))
    assert not desk.renew(Settings(serve=Serve(burst=1)))
