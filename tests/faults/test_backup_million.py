"""R12: a million events are backed up and put back, digest-equal, within a minute."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from bodega import wiring
from bodega.adapters.sql import SqlStore
from bodega.protocols import NoProgress
from bodega.schema import Event, EventType

MILLION = 1_000_000
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.timeout(1_800)
def test_a_million_events_are_restored_within_a_minute(tmp_path, promise):
    shop = tmp_path / "shop"
    wiring.init_shop(shop)
    with SqlStore.open(f"sqlite:///{shop}/shop.db") as store:
        for first in range(0, MILLION, 20_000):
            store.events.append(
                [
                    Event(
                        type=EventType.VIEW, time=START + timedelta(seconds=n), user=f"u{n % 9973}", item=f"i{n % 4999}"
                    )
                    for n in range(first, first + 20_000)
                ]
            )
    kept = wiring.back_up(shop, tmp_path / "kept", NoProgress())
    clock, cpu = time.perf_counter(), time.process_time()
    done = wiring.restore(tmp_path / "kept", tmp_path / "again", NoProgress())
    clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    promise("R12", f"{done.rows:,} rows restored in {clock:.0f} s ({cpu:.0f} s of CPU)", "digest-equal, <= 60 s")
    assert done.tables == kept.tables
    assert next(table.rows for table in done.tables if table.name == "events") == MILLION
    assert cpu <= 60, "more CPU than a minute: on no machine it takes less"
