"""Photos over HTTP: what may be sent as one, what comes back, and what the shop's folder of pictures gives away."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

import bodega
from bodega.engine.photo import LARGEST, is_photo
from bodega.schema import Item
from bodega.service.app import create_app
from bodega.testing.canned import PICTURE, CannedShop


class Caller:
    def __init__(self, shop: object, scopes: tuple[str, ...] = ("search",)) -> None:
        self.key = shop.keys.create("test", scopes)  # type: ignore[attr-defined]
        self.runner = asyncio.Runner()
        transport = httpx.ASGITransport(app=create_app(shop), raise_app_exceptions=False)  # type: ignore[arg-type]
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7700")

    def __call__(self, method: str, url: str, **how: object) -> httpx.Response:
        headers = {"X-API-Key": self.key} | how.pop("headers", {})  # type: ignore[operator]
        return self.runner.run(self.http.request(method, url, headers=headers, **how))  # type: ignore[arg-type]

    def close(self) -> None:
        self.runner.run(self.http.aclose())
        self.runner.close()


@pytest.fixture
def caller() -> Iterator[Caller]:
    with closing(Caller(CannedShop([Item(id="1", title="Red shoe")]))) as made:
        yield made


def test_a_body_and_a_form_give_the_same_token(caller: Caller) -> None:
    raw = caller("POST", "/v1/photo", content=b"jpeg", headers={"Content-Type": "image/jpeg"})
    form = caller("POST", "/v1/photo", files={"image": ("<script>alert(1)</script>.png", b"jpeg", "image/png")})
    assert raw.status_code == form.status_code == 200
    assert raw.json() == form.json()
    assert is_photo(raw.json()["image"])
    assert raw.json()["encoder"] == "canned"


def test_a_token_and_a_data_uri_search(caller: Caller) -> None:
    token = caller("POST", "/v1/photo", content=b"jpeg", headers={"Content-Type": "image/jpeg"}).json()["image"]
    page = caller("POST", "/v1/search", json={"image": token})
    assert (page.status_code, page.json()["place"]) == (200, "search")
    assert caller("GET", "/v1/search", params={"image": token, "q": "red"}).status_code == 200
    whole = "data:image/png;base64," + base64.b64encode(b"jpeg").decode()
    assert caller("POST", "/v1/search", json={"image": whole}).json()["place"] == "search"


@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml", "application/json", ""])
def test_other_kinds_of_bodies_are_refused(caller: Caller, kind: str) -> None:
    assert caller("POST", "/v1/photo", content=b"<svg/>", headers={"Content-Type": kind}).status_code == 415


def test_a_photo_of_more_than_ten_megabytes_is_refused(caller: Caller) -> None:
    answer = caller("POST", "/v1/photo", content=b"x" * (LARGEST + 1), headers={"Content-Type": "image/jpeg"})
    assert answer.status_code == 413


def test_a_form_without_a_file_is_told_so(caller: Caller) -> None:
    answer = caller(
        "POST", "/v1/photo", data={"image": "text"}, headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert answer.status_code == 400


def test_algolia_takes_tokens_only(caller: Caller) -> None:
    token = caller("POST", "/v1/photo", content=b"jpeg", headers={"Content-Type": "image/jpeg"}).json()["image"]
    asked = {"params": {"query": "", "image": token}}
    assert caller("POST", "/1/indexes/products/query", json=asked).json()["nbHits"] == 1
    refused = caller("POST", "/1/indexes/products/query", json={"params": {"image": "https://example.com/a.jpg"}})
    assert refused.status_code == 400


def test_pictures_of_the_folder_are_served_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    with bodega.open(tmp_path / "shop") as shop:
        folder = tmp_path / "shop" / "images"
        (folder / "a b").mkdir(parents=True)
        (folder / "a b" / "red.png").write_bytes(PICTURE)
        (folder / "page.png").write_bytes(b"<html><script>alert(1)</script>")
        (folder / "vector.svg").write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
        (tmp_path / "shop" / "secret.png").write_bytes(PICTURE)
        (folder / "link.png").symlink_to(tmp_path / "shop" / "secret.png")
        with closing(Caller(shop)) as caller:
            got = caller("GET", "/images/a%20b/red.png", headers={"X-API-Key": ""})
            assert (got.status_code, got.headers["content-type"], got.content) == (200, "image/png", PICTURE)
            assert got.headers["x-content-type-options"] == "nosniff"
            again = caller("GET", "/images/a%20b/red.png", headers={"If-None-Match": got.headers["etag"]})
            assert again.status_code == 304
            inside = ("page.png", "vector.svg", "link.png", "a b", "no.png")
            outside = ("..%2Fsecret.png", "../shop.db", "%2e%2e/bodega.toml", "https:%2F%2Fexample.com%2Fa.png")
            for name in (*inside, *outside):
                assert caller("GET", f"/images/{name}").status_code in (404, 401), name
