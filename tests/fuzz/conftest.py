"""What the fuzz tests share: a tiny shop that has learned, and the way to ask it over HTTP in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from litestar.testing import TestClient

import bodega
from bodega.service.app import create_app
from bodega.settings import Serve
from bodega.testing.world import GeneratedWorld, WorldSpec, make_world

if TYPE_CHECKING:
    from bodega.engine.shop import Shop

ORIGIN = "http://127.0.0.1:7700"


UNLIMITED = Serve(requests_per_second=1e6, burst=1_000_000, shopper_per_second=0)


@pytest.fixture(scope="package")
def tiny_world() -> GeneratedWorld:
    return make_world(WorldSpec(n_items=60, n_shoppers=30, days=30))


@pytest.fixture(scope="module")
def fuzzed_shop(
    tmp_path_factory: pytest.TempPathFactory, tiny_world: GeneratedWorld, quick: Callable[[Path], Path]
) -> Iterator[Shop]:
    """A shop that may be written to; every module gets its own."""
    with bodega.open(quick(tmp_path_factory.mktemp("fuzz") / "shop")) as shop:
        shop.settings = msgspec.structs.replace(shop.settings, serve=UNLIMITED)
        shop.catalog.upsert(tiny_world.items)
        shop.events.record(tiny_world.events)
        report = shop.learn()
        assert report.published, report.verdict
        yield shop


@pytest.fixture(scope="module")
def client(fuzzed_shop: Shop) -> Iterator[TestClient]:
    """Asks with every scope."""
    key = fuzzed_shop.keys.create("fuzz", ["search", "events", "admin"])
    app = create_app(fuzzed_shop)
    with TestClient(app, base_url=ORIGIN, raise_server_exceptions=False) as made:
        made.headers["X-API-Key"] = key
        yield made
