"""Search by photo where the answer is known on paper: shapes in colours, drawn, so that shape is most of a likeness."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import bodega
from bodega.engine.photo import Photos, Sight, bytes_of, picture_of
from bodega.engine.shop import Shop
from bodega.errors import BadPicture, BadRequest, MissingExtra
from bodega.protocols import EncoderInfo, ImageEncoder, Pixels
from bodega.retrieval.pictures import Pictures
from bodega.schema import Filter, Item, Page, Request, Sort
from bodega.settings import Settings, Understand
from bodega.wiring import init_shop

SHAPES = ("box", "bar", "cross", "frame")
COLOURS = {"red": (220, 20, 20), "blue": (20, 20, 220), "green": (20, 180, 20), "black": (20, 20, 20)}
PRICES = (10.0, 25.0, 60.0)
INFO = EncoderInfo("drawn", 67, "d1e5")


def drawn(shape: str, colour: str, shift: int = 0) -> Pixels:
    """A picture of 32 x 32, the shape in its colour on white; `shift` moves it a little."""
    mask = np.zeros((32, 32), np.bool_)
    if shape == "box":
        mask[11:21, 9:23] = True
    elif shape == "bar":
        mask[24:31, 4:28] = True
    elif shape == "cross":
        mask[1:8, 4:28] = True
    else:
        mask[10:22, 1:5] = mask[10:22, 27:31] = True
    mask = np.roll(mask, shift, axis=1)
    out = np.full((32, 32, 3), 255, np.uint8)
    out[mask] = COLOURS[colour]
    return out


class DrawnEncoder:
    """Shape (8 x 8 of what is not white) and, at a lower weight, the colour of it."""

    info = INFO

    def encode(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        rows = []
        for image in images:
            some = (image < 250).any(axis=2)
            shape = some.reshape(8, 4, 8, 4).mean(axis=(1, 3)).ravel()
            shape = shape / max(float(np.linalg.norm(shape)), 1e-6)
            colour = image[some].mean(axis=0) / 255 if some.any() else np.ones(3)
            colour = colour / max(float(np.linalg.norm(colour)), 1e-6)
            row = np.concatenate([shape, 0.5 * colour])
            rows.append(row / np.linalg.norm(row))
        return np.asarray(rows, np.float32)


class Book:
    """Implements `PictureVectors` over pictures named `shape-colour-shift`; what is named otherwise was not read."""

    info: EncoderInfo | None = INFO

    def of(self, references: Sequence[str]) -> NDArray[np.float32]:
        out = np.zeros((len(references), INFO.dimensions), np.float32)
        for row, name in enumerate(references):
            shape, _, rest = name.partition("-")
            colour, _, shift = rest.partition("-")
            if shape in SHAPES:
                out[row] = DrawnEncoder().encode([drawn(shape, colour, int(shift))])[0]
        return out


def decode(data: bytes) -> Pixels:
    if len(data) != 32 * 32 * 3:
        raise BadPicture("these bytes are no picture", where="image")
    return np.frombuffer(data, np.uint8).reshape(32, 32, 3)


def photo(shape: str, colour: str, shift: int = 1) -> str:
    return "data:image/x-raw;base64," + base64.b64encode(drawn(shape, colour, shift).tobytes()).decode()


def catalog() -> list[Item]:
    items = [
        Item(
            id=f"{shape}-{colour}-{number}",
            title=f"{colour.title()} {shape} no {number}",
            category=("Shapes", shape.title()),
            price=price,
            attributes={"colour": colour},
            images=(f"{shape}-{colour}-{number}", *((f"{shape}-{colour}-3",) if number == 0 else ())),
        )
        for shape in SHAPES
        for colour in COLOURS
        for number, price in enumerate(PRICES)
    ]
    return [*items, Item(id="unseen", title="Red thing without a picture", attributes={"colour": "red"})]


def opened(folder: Path, items: Sequence[Item], *, encoder: bool = True) -> Shop:
    init_shop(folder, Settings(understand=Understand(teacher="none")))
    shop = bodega.open(folder)
    parts = shop._parts
    book = Book()
    shop._parts = replace(
        parts,
        make={**parts.make, "pictures": lambda: Pictures(book)},
        load={**parts.load, "pictures": lambda saved, table: Pictures.load(saved, table, book)},
        optional=(*parts.optional, "pictures"),
    )

    def missing() -> ImageEncoder:
        raise MissingExtra.named("images", needed_for="looking at photos")

    shop.photos = Photos(Sight(DrawnEncoder if encoder else missing, decode))
    shop.catalog.upsert(items)
    shop.learn()
    return shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with opened(tmp_path_factory.mktemp("photos") / "shop", catalog()) as shop:
        yield shop


def asked(shop: Shop, **fields: object) -> Page:
    return shop.answer(Request(**{"place": "search", "k": 12, **fields}))  # type: ignore[arg-type]


def test_photo_alone_finds_its_shape_and_its_colour_first(shop: Shop) -> None:
    page = asked(shop, image=photo("cross", "blue"))
    assert [name.rsplit("-", 1)[0] for name in page.ids[:3]] == ["cross-blue"] * 3
    assert {name.partition("-")[0] for name in page.ids} == {"cross"}
    assert page[0].why[0].source == "pictures"
    assert page[0].why[0].text == "Looks like your photo"
    assert page.degraded == ()


def test_the_door_takes_a_photo_beside_words(shop: Shop) -> None:
    assert shop.search("but red", image=photo("cross", "blue"), k=12).ids[0].startswith("cross-red")


def test_photo_in_chinese_says_why(shop: Shop) -> None:
    assert asked(shop, image=photo("box", "red"), language="zh")[0].why[0].text == "与您的照片相似"


def test_total_counts_what_looks_like_it_and_facets_count_that(shop: Shop) -> None:
    page = asked(shop, image=photo("frame", "green"), facets=("colour", "category"))
    assert page.total == 12  # every frame, nothing else
    counts = {value.value: value.count for value in page.facets[0].values}
    assert counts == dict.fromkeys(COLOURS, 3)
    narrowed = asked(shop, image=photo("frame", "green"), filters=(Filter(field="colour", values=("red",)),))
    assert narrowed.total == counts["red"]
    assert all(name.startswith("frame-red") for name in narrowed.ids)


def test_pages_sort_and_offset_hold(shop: Shop) -> None:
    whole = asked(shop, image=photo("bar", "black"))
    second = asked(shop, image=photo("bar", "black"), k=5, offset=5)
    assert second.ids == whole.ids[5:10]
    cheap = asked(shop, image=photo("bar", "black"), sort=Sort.PRICE_UP)
    prices = [hit.item.price or 0 for hit in cheap]
    assert prices == sorted(prices)
    assert cheap.total == whole.total


def test_but_red_overrides_the_colour_of_the_photo(shop: Shop) -> None:
    page = asked(shop, image=photo("cross", "blue"), query="like this, but red")
    assert [name.rsplit("-", 1)[0] for name in page.ids[:3]] == ["cross-red"] * 3
    assert [meaning.kind for meaning in page.understood] == ["colour"]
    assert page.understood[0].text == "red"
    assert page.query[page.understood[0].start : page.understood[0].end] == "red"


def test_conditions_beside_a_photo_hold(shop: Shop) -> None:
    page = asked(shop, image=photo("cross", "blue"), query="like this but red, under 30")
    assert page.ids[0].startswith("cross-red")
    assert all((hit.item.price or 0) <= 30 for hit in page)
    only = asked(shop, image=photo("cross", "blue"), query="under 20")
    assert only.ids[0] == "cross-blue-0"
    assert all((hit.item.price or 0) <= 20 for hit in only)


def test_words_of_another_shape_bring_it_where_it_looks_a_little_like_the_photo(shop: Shop) -> None:
    page = asked(shop, image=photo("cross", "blue"), query="blue box")
    assert {name.rsplit("-", 1)[0] for name in page.ids} >= {"box-blue", "cross-blue"}


def test_token_stands_for_the_photo(shop: Shop) -> None:
    token = shop.photos.token(bytes_of(photo("box", "green")))
    again = asked(shop, image=token)
    assert again.ids == asked(shop, image=photo("box", "green")).ids
    assert picture_of(token)[0] == INFO.digest
    assert len(token) < 200


def test_similar_looking_around_an_item(shop: Shop) -> None:
    page = shop.answer(Request(place="looks_like", items=("bar-red-1",), k=3))
    assert "bar-red-1" not in page.ids
    assert page.ids[:2] == ["bar-red-0", "bar-red-2"] or set(page.ids[:2]) == {"bar-red-0", "bar-red-2"}
    reason = page[0].why[0]
    assert (reason.source, reason.because) == ("pictures", ("bar-red-1",))
    assert reason.text == "Looks like Red bar no 1"


def test_an_item_of_today_takes_part(shop: Shop, tmp_path: Path) -> None:
    with opened(tmp_path / "new", catalog()) as own:
        own.catalog.upsert([Item(id="fresh", title="Fresh cross", images=("cross-blue-1",), price=5.0)])
        assert asked(own, image=photo("cross", "blue")).ids[:4].count("fresh") == 1
        own.catalog.delete(["fresh", "cross-blue-1"])
        left = asked(own, image=photo("cross", "blue")).ids
        assert "fresh" not in left
        assert "cross-blue-1" not in left


@pytest.mark.parametrize("image", ["file:///etc/passwd", "data:image/png;base64,####", "/etc/passwd", "javascript:1"])
def test_what_is_no_photo_is_refused(shop: Shop, image: str) -> None:
    with pytest.raises(BadRequest):
        asked(shop, image=image)


def test_an_address_is_not_fetched_unless_the_shop_does(shop: Shop) -> None:
    with pytest.raises(BadRequest, match="fetches no photos"):
        asked(shop, image="https://example.com/a.jpg")


def test_broken_photo_is_the_senders_error(shop: Shop) -> None:
    with pytest.raises(BadPicture) as refused:
        asked(shop, image="data:image/png;base64," + base64.b64encode(b"GIF89a nothing").decode())
    assert refused.value.status == 422


def test_token_of_another_encoder_is_refused(shop: Shop) -> None:
    token = shop.photos.token(bytes_of(photo("box", "green"))).replace(INFO.digest, "0000")
    with pytest.raises(BadRequest, match="another encoder"):
        asked(shop, image=token)
    with pytest.raises(BadRequest):
        asked(shop, image=f"vector:{INFO.digest}:AAAA")  # a vector of zeros


def test_missing_encoder_answers_by_words_and_names_the_extra(tmp_path: Path) -> None:
    with opened(tmp_path / "blind", catalog(), encoder=False) as blind:
        page = asked(blind, image=photo("box", "red"), query="red box")
        assert page.ids
        assert any("pip install 'bodega[images]'" in note for note in page.degraded)
        assert asked(blind, image=photo("box", "red")).ids  # never left with nothing


def test_shop_without_pictures_says_so(small_shop: Shop) -> None:
    page = small_shop.answer(Request(place="search", query="milk", image=photo("box", "red"), k=5))
    assert page.ids
    assert any("bodega pictures" in note for note in page.degraded)
    assert "pictures" not in small_shop.engine.learned.sources
