"""A row that our own reading trips over is kept aside like any other; its neighbours are taken, the trace is logged."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

import bodega
from bodega.catalog import building, reviews
from bodega.events import parse
from bodega.feeds import surprises
from bodega.schema import DeadLetter
from bodega.settings import Settings

NOW = 1_772_000_000.0


def trips(real: Any) -> Any:
    """Reads as before, but for what says "boom"."""

    def read(value: object, *more: Any, **named: Any) -> Any:
        if value == "boom":
            raise ZeroDivisionError("planted")
        return real(value, *more, **named)

    return read


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for module in (parse, building, reviews):
        monkeypatch.setattr(module, "parse_time", trips(module.parse_time))
    monkeypatch.setenv("BODEGA_INGEST_BAD_ROWS_LIMIT", "0.5")
    with bodega.open(tmp_path / "shop") as made:
        yield made


def kept(shop: Any, kind: str) -> list[DeadLetter]:
    return list(shop.stores.dead.list(kind=kind, reason=surprises.FAILED))


def test_an_event_that_cannot_be_read_is_kept_and_the_others_count(shop, tmp_path, caplog):
    (tmp_path / "e.csv").write_text(
        "type,time,user,item\nview,2026-02-01,u,a\nview,boom,u,b\nview,2026-02-01,u,c\n", "utf-8"
    )
    with caplog.at_level(logging.ERROR, "bodega.feeds"):
        report = shop.events.add(tmp_path / "e.csv")
    assert shop.events.count() == 2
    assert report.reasons == {"failed": 1}
    letter = kept(shop, "event")[0]
    assert "ZeroDivisionError" in letter.message
    assert '"b"' in letter.raw
    assert any(record.exc_info and record.exc_info[0] is ZeroDivisionError for record in caplog.records)


def test_an_item_that_cannot_be_read_is_kept_and_the_others_are_sold(shop, tmp_path):
    (tmp_path / "i.csv").write_text("id,title,created\na,Shoe,2026-02-01\nb,Hat,boom\nc,Bag,2026-02-01\n", "utf-8")
    shop.catalog.add(tmp_path / "i.csv")
    assert sorted(item.id for item in shop.stores.catalog.scan()) == ["a", "c"]
    assert [letter.line for letter in kept(shop, "item")] == [3]


def test_a_review_that_cannot_be_read_is_a_letter():
    reader = reviews.ReviewReader(Settings(), mask=str)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reviews, "parse_time", trips(reviews.parse_time))
        found = reader.read({"item": "a", "stars": 5, "time": "boom"}, now=NOW, source="test", line=1)
    assert isinstance(found, DeadLetter)
    assert found.reason == surprises.FAILED
    assert found.message == reviews.REASONS[surprises.FAILED]


def test_only_the_first_traces_are_logged(caplog):
    held = surprises.Surprises()
    with caplog.at_level(logging.ERROR, "bodega.feeds"):
        for line in range(3 * surprises.TOLD):
            assert held.note(ValueError("x"), line) == "ValueError"
    assert len(caplog.records) == surprises.TOLD
    assert held.count == 3 * surprises.TOLD
