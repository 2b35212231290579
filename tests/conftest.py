"""What all tests share: one way to be random, the data folder, and a small shop that has learned."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, settings
from sqlalchemy import Connection

from bodega.adapters.sql.tables import METADATA
from bodega.testing.world import GeneratedWorld, WorldSpec, make_world

if TYPE_CHECKING:
    from bodega.engine.shop import Shop
    from bodega.testing.servers import Kafka, Postgres, Process, Valkey

ROOT = Path(__file__).parent.parent
Server = TypeVar("Server", bound="Process")

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
def layout() -> Callable[[Connection], list[object]]:
    """What this database lacks, or has too much, of what the tables say (some indexes are for one database only)."""

    def differences(connection: Connection) -> list[object]:
        name = connection.dialect.name

        def built_here(element: object, *_: object) -> bool:
            only = getattr(element, "_ddl_if", None)
            return only is None or only.dialect == name

        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": built_here})
        return list(compare_metadata(context, METADATA))

    return differences


QUICK = '[understand]\nteacher = "none"\n\n[learn]\ntaught_cases = 0\n'


@pytest.fixture(scope="session")
def quick() -> Callable[[Path], Path]:
    """Makes a folder whose shop learns in a fifth of the time (no teacher of the encoder, no learned rankers): for
    tests that need a shop which has learned, whatever it has learned."""

    def made(folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "bodega.toml").write_text(QUICK, "utf-8")
        return folder

    return made


@pytest.fixture(scope="session")
def small_shop(tmp_path_factory: pytest.TempPathFactory, small_world: GeneratedWorld) -> Iterator[Shop]:
    """A shop that has learned the small world. Shared: read it, do not write to it."""
    import bodega

    folder = tmp_path_factory.mktemp("shop") / "small"
    shutil.copytree(_learned_once(tmp_path_factory, small_world), folder)
    with bodega.open(folder) as shop:
        yield shop


def _learned_once(factory: pytest.TempPathFactory, world: GeneratedWorld) -> Path:
    """The folder of the small shop, learned by whichever process of pytest-xdist comes first."""
    import bodega

    common = factory.getbasetemp()
    common = common.parent if os.environ.get("PYTEST_XDIST_WORKER") else common
    folder = common / "small-shop"
    with (common / "small-shop.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            draft = common / "small-shop.draft"
            shutil.rmtree(draft, ignore_errors=True)
            with bodega.open(draft) as shop:
                shop.catalog.upsert(world.items)
                shop.events.record(world.events)
                report = shop.learn()
                assert report.published, report.verdict
            draft.rename(folder)
    return folder


# -- real servers: one of each kind for a session (of each worker of pytest-xdist); hurt only your own --------


def _served(make: Callable[[], Server]) -> Iterator[Server]:
    from bodega.errors import MissingExtra

    try:
        server = make()
    except MissingExtra as missing:
        pytest.skip(missing.what)
    with server:
        yield server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """A PostgreSQL to share: make a database of your own with `.database()`; do not kill or pause it."""
    from bodega.testing.servers import postgres

    pytest.importorskip("psycopg", reason="the extra 'postgres' is not installed")
    yield from _served(postgres)


@pytest.fixture(scope="session")
def postgres_url(postgres_server: Postgres) -> str:
    """An empty database, the same for the whole session."""
    return postgres_server.database()


@pytest.fixture
def fresh_postgres_url(postgres_server: Postgres) -> Iterator[str]:
    """An empty database for this test alone."""
    url = postgres_server.database()
    yield url
    postgres_server.drop(url)


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Valkey]:
    """A Valkey (speaks Redis) to share; do not kill or pause it."""
    from bodega.testing.servers import valkey

    yield from _served(valkey)


@pytest.fixture(scope="session")
def valkey_url(valkey_server: Valkey) -> str:
    """Its database 0, shared by the session: use keys of your own."""
    return valkey_server.url


@pytest.fixture(scope="session")
def kafka_server() -> Iterator[Kafka]:
    """A broker of the Kafka protocol to share; do not kill or pause it."""
    from bodega.testing.servers import kafka

    yield from _served(kafka)


@pytest.fixture(scope="session")
def kafka_bootstrap(kafka_server: Kafka) -> str:
    """`bootstrap.servers` of a broker shared by the session: use topics and groups of your own."""
    return kafka_server.url
