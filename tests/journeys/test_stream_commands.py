"""A shop whose events come from a stream: published, consumed once, replayed, retried; and read while it serves."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from litestar.testing import TestClient
from typer.testing import CliRunner

import bodega
from bodega.cli import app
from bodega.service import create_app

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def url(valkey_server) -> str:
    return f"redis://127.0.0.1:{valkey_server.port}/clicks-{time.time_ns()}?group=test"


def said(*words: str) -> dict[str, object]:
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_publish_consume_replay_and_retry(tmp_path: Path, url: str):
    shop = str(tmp_path / "shop")
    said("init", shop)
    file = tmp_path / "events.jsonl"
    now = time.time()
    rows = [{"id": f"e{n}", "type": "click", "time": now - n, "user": f"u{n % 5}", "item": f"i{n}"} for n in range(60)]
    rows.append({"id": "soon", "type": "click", "time": now + 3_000, "user": "u", "item": "i"})
    file.write_text("\n".join(json.dumps(row) for row in rows))
    assert said("publish", str(file), "--shop", shop, "--url", url) == {"published": 61}
    done = said("consume", "--once", "--shop", shop, "--url", url)
    assert (done["records"], done["added"], done["dead"]) == (61, 60, 1)
    again = said("consume", "--replay", "earliest", "--shop", shop, "--url", url)
    assert (again["added"], again["unchanged"]) == (0, 60)
    (Path(shop) / "bodega.toml").write_text("[ingest]\nfuture_seconds = 10000\n")
    assert said("events", "retry", "--reason", "future_time", "--shop", shop)["stored"] == 1


def test_a_serving_shop_reads_its_stream(tmp_path: Path, url: str):
    from bodega.adapters.streams import open_publisher

    folder = tmp_path / "shop"
    bodega.open(folder).close()
    with (folder / "bodega.toml").open("a") as file:
        file.write(f'\n[streams]\nurl = "{url}"\n')
    with bodega.open(folder) as shop:
        assert shop.consuming is not None
        with TestClient(create_app(shop)):
            publisher = open_publisher(url)
            publisher.publish([("u", b'{"id": "e1", "type": "view", "user": "u", "item": "7"}')])
            publisher.close()
            deadline = time.monotonic() + 60
            while not shop.events.count():
                assert time.monotonic() < deadline, shop.consuming.done
                time.sleep(0.05)
        assert shop.consuming.lag().keys() == {(shop.consuming.name, 0)}
        assert shop.consuming.done.added == 1
