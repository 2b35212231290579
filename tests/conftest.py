"""What all tests share: one way to be random, the data folder, and a small shop that has learned."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from bodega.testing.world import GeneratedWorld, WorldSpec, make_world

if TYPE_CHECKING:
    from bodega.engine.shop import Shop

ROOT = Path(__file__).parent.parent

# A test machine may be slow or shared: hypothesis must not fail for time. In CI the examples are the same every run.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of public data sets; they are not part of this project."""
    folder = Path(os.environ.get("BODEGA_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no data folder at {folder}; set BODEGA_DATA to the folder that holds the public data sets")
    return folder


@pytest.fixture(scope="session")
def world() -> GeneratedWorld:
    """The generated shop at its default size; do not change what it holds."""
    return make_world()


@pytest.fixture(scope="session")
def small_world() -> GeneratedWorld:
    return make_world(WorldSpec(n_items=120, n_shoppers=60, days=45))


@pytest.fixture(scope="session")
def small_shop(tmp_path_factory: pytest.TempPathFactory, small_world: GeneratedWorld) -> Iterator[Shop]:
    """A shop that has learned the small world. Shared: read it, do not write to it."""
    import bodega

    with bodega.open(tmp_path_factory.mktemp("shop") / "small") as shop:
        shop.catalog.upsert(small_world.items)
        shop.events.record(small_world.events)
        report = shop.learn()
        assert report.published, report.verdict
        yield shop
