"""From a draft to an Item: every field cleaned, every repair counted, nothing guessed that the row does not say.

A value that cannot be used is left out and counted ("a price that is no amount"); only a row without an id, or with
nothing but an id, is refused. Cost: about 20 us for an item of seven fields. Not for: reading files, writing stores.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from datetime import datetime
from urllib.parse import urlsplit

import msgspec

from bodega.catalog.attributes import LARGEST, put
from bodega.catalog.categories import paths_of
from bodega.catalog.draft import Draft, Refusal, is_missing
from bodega.catalog.stock import availability_of
from bodega.catalog.text import HTML_FACTOR, clean_line, clean_text, clean_word
from bodega.feeds import surprises
from bodega.feeds.values import parse_currency, parse_number, parse_price, parse_time
from bodega.schema import Availability, Item
from bodega.schema.nouns import AttributeValue
from bodega.settings import Settings

ID_LIMIT = 512
LINE_LIMIT = 1_000
"""Longest URL or image name kept."""
IMAGES_LIMIT = 50
LINKED = ("related", "upsell", "crosssell")
"""What a shop may link an item with itself."""
LINKS_LIMIT = 100
PRICE_LIMIT = 1e9
LIST_LIMIT = 100_000
"""Characters of a cell with several images or tags that are looked at."""
_BETWEEN_IMAGES = re.compile(r"[|;]|,(?= ?https?:| ?/)| (?=https?:)")
_BETWEEN_TAGS = re.compile(r"[,;|，；、]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Builder:
    """Turns drafts into items; `repairs` counts what had to be mended, by code (see `ledger.WORDS`)."""

    def __init__(self, settings: Settings, *, slash: bool = False) -> None:
        self.repairs: Counter[str] = Counter()
        self._slash = slash
        self._shop_currency = settings.currency
        self._text_limit = settings.ingest.text_limit
        self._surprises = surprises.Surprises()

    def item(self, draft: Draft) -> Item | Refusal:
        """The item that the draft describes, or why there is none."""
        try:
            return self._item(draft)
        except RecursionError:
            return Refusal("too_deep", "a value is nested too deeply to be read")
        except Exception as error:
            return Refusal(surprises.FAILED, f"{surprises.WORDS}; got: {self._surprises.note(error, draft.line)}")

    def _item(self, draft: Draft) -> Item | Refusal:
        get = draft.values.get
        name = id_of(get("id"))
        if isinstance(name, Refusal):
            return name
        title = self._text(get("title"), one_line=True)
        description = self._text(get("description"), one_line=False)
        attributes = self._attributes(draft.attributes)
        price, currency = self._price(get("price"), get("sale_price"), get("currency"), attributes)
        paths = paths_of(get("category"), self._slash)
        availability, stock = self._stock(get("availability"), get("stock"))
        item = Item(
            id=name,
            kind=_word(get("kind")) or "product",
            title=title,
            description=description,
            brand=_word(get("brand")),
            category=paths[0] if paths else (),
            price=price,
            currency=currency,
            availability=availability,
            stock=stock,
            images=self._images(get("images")),
            attributes=attributes,
            tags=_tags(get("tags"), paths),
            group=_identifier(get("group")),
            options=self._options(draft.options, attributes),
            language=_language(get("language")),
            created=self._time(get("created")),
            updated=self._time(get("updated")),
            seller=_word(get("seller")),
            url=self._url(get("url")),
            links=_links({name: get(name) for name in LINKED} | _object(get("links"))),
        )
        if not (title or description or item.brand or paths or attributes or item.images or price is not None):
            return Refusal("nothing_left", f"the row holds nothing but the id {name[:60]!r}")
        return item

    def checked(self, item: Item) -> Item | Refusal:
        """An Item that a program made itself: kept as it is, but for an id, a price or a stock that cannot be."""
        name = id_of(item.id)
        if isinstance(name, Refusal):
            return name
        price, stock = item.price, item.stock
        if price is not None and not 0 <= price < PRICE_LIMIT:
            self.repairs["bad_price"] += 1
            price = None
        if stock is not None and stock < 0:
            self.repairs["bad_stock"] += 1
            stock = 0
        attributes = {name: value for name, value in item.attributes.items() if _is_sound(value)}
        same = name == item.id and price == item.price and stock == item.stock and attributes == item.attributes
        return item if same else msgspec.structs.replace(item, id=name, price=price, stock=stock, attributes=attributes)

    def _text(self, value: object, *, one_line: bool) -> str:
        if is_missing(value):
            return ""
        text = _as_text(value)
        clean = clean_line(text, self._text_limit) if one_line else clean_text(text, self._text_limit)
        if len(text) > self._text_limit:
            self.repairs["cut_text"] += len(clean) >= self._text_limit - 1 or len(text) > self._text_limit * HTML_FACTOR
        if "\ufffd" in clean:
            self.repairs["undecodable"] += 1
        return clean

    def _price(
        self, regular: object, sale: object, given: object, attributes: dict[str, AttributeValue]
    ) -> tuple[float | None, str]:
        """What a shopper pays now, and in which currency; a higher regular price becomes `list_price`."""
        price, sign = self._amount(regular)
        reduced, sale_sign = self._amount(sale)
        if reduced and (price is None or reduced < price):
            if price is not None:
                attributes.setdefault("list_price", price)
            price, sign = reduced, sale_sign or sign
        if price is None:
            return None, ""
        if not is_missing(given):
            code = parse_currency(given, shop=self._shop_currency)
            self.repairs["bad_currency"] += not code
            sign = code or sign
        return price, sign or self._shop_currency

    def _amount(self, value: object) -> tuple[float | None, str]:
        if value is None or value == "":
            return None, ""
        try:
            amount, sign = parse_price(value, currency=self._shop_currency)
        except ValueError:
            # An empty cell says nothing; a NaN is what a broken export writes where a price should be.
            self.repairs["bad_price"] += not is_missing(value) or _says_nan(value)
            return None, ""
        if not 0 <= amount < PRICE_LIMIT:
            self.repairs["bad_price"] += 1
            return None, ""
        return amount, sign

    def _stock(self, word: object, count: object) -> tuple[Availability, int | None]:
        stock: int | None = None
        if not is_missing(count):
            try:
                stock = int(min(parse_number(count), 2**53))
            except ValueError:
                word = count if is_missing(word) else word  # "in stock" in the column for the count
        if stock is not None and stock < 0:
            self.repairs["bad_stock"] += 1
            stock = 0
        if is_missing(word):
            return Availability.OUT_OF_STOCK if stock == 0 else Availability.IN_STOCK, stock
        meaning = availability_of(str(word))
        self.repairs["unknown_availability"] += meaning is None
        return meaning or Availability.IN_STOCK, stock

    def _attributes(self, given: dict[str, object]) -> dict[str, AttributeValue]:
        attributes: dict[str, AttributeValue] = {}
        for name, value in given.items():
            if put(attributes, name, value):
                self.repairs["amounts"] += 1
        return attributes

    def _options(self, given: dict[str, object], attributes: dict[str, AttributeValue]) -> dict[str, str]:
        """Options are words; an amount among them ("Size": "500 ml") is compared as an attribute."""
        options = {clean_word(name): _word(value) for name, value in given.items() if not is_missing(value)}
        for name, value in options.items():
            amounts: dict[str, AttributeValue] = {}
            if put(amounts, name, value):
                self.repairs["amounts"] += 1
                attributes.update({key: amount for key, amount in amounts.items() if key != name})
        return {name: value for name, value in options.items() if name and value}

    def _images(self, value: object) -> tuple[str, ...]:
        if is_missing(value):
            return ()
        if isinstance(value, str):
            value = _json_list(value) or _BETWEEN_IMAGES.split(" ".join(value[:LIST_LIMIT].split()))
        found: dict[str, None] = {}
        for one in value if isinstance(value, list | tuple) else [value]:
            place = (
                next((one[key] for key in ("src", "url", "link", "href") if key in one), "")
                if isinstance(one, dict)
                else one
            )
            if url := self._url(place):
                found[url] = None
        return tuple(list(found)[:IMAGES_LIMIT])

    def _url(self, value: object) -> str:
        """http(s) and relative addresses; `javascript:`, `data:` and the like are left out."""
        if is_missing(value):
            return ""
        text = clean_line(str(value)[: LINE_LIMIT + 1], LINE_LIMIT + 1)
        try:
            scheme = urlsplit(text).scheme.lower() if ":" in text else ""
        except ValueError:
            scheme = "bad"
        if scheme not in ("", "http", "https") or len(text) > LINE_LIMIT:
            self.repairs["bad_url"] += 1
            return ""
        return text

    def _time(self, value: object) -> datetime | None:
        if is_missing(value):
            return None
        try:
            return parse_time(value)
        except ValueError:
            self.repairs["bad_time"] += 1
            return None


def id_of(value: object) -> str | Refusal:
    """The id as text: trimmed, whole numbers without ".0"; emoji and Chinese are as good as ASCII."""
    if isinstance(value, str):
        name = value.strip()
    elif isinstance(value, float) and value.is_integer():
        name = str(int(value))
    elif value is None or isinstance(value, bool | list | dict) or (isinstance(value, float) and math.isnan(value)):
        name = ""
    else:
        name = str(value)
    if name.casefold() in ("", "nan", "null", "none"):
        return Refusal("no_id", "the row has no id")
    if len(name) > ID_LIMIT or _CONTROL.search(name):
        return Refusal(
            "bad_id", f"an id is up to {ID_LIMIT} printable characters; this one has {len(name):,}: {name[:40]!r}"
        )
    return name


def _is_sound(value: object) -> bool:
    """NaN and numbers without a 32-bit float are what no filter can compare."""
    return not (isinstance(value, float) and not abs(value) < LARGEST)


def _as_text(value: object) -> str:
    """Text of a text, a number, several texts, or texts by language (the first)."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(str(one) for one in value if isinstance(one, str | int | float))
    if isinstance(value, dict):
        return next((one for one in value.values() if isinstance(one, str)), "")
    return str(value)


def _identifier(value: object) -> str:
    name = id_of(value)
    return "" if isinstance(name, Refusal) else name


def _word(value: object) -> str:
    if is_missing(value):
        return ""
    if isinstance(value, list):
        return _word(value[0])
    if isinstance(value, dict):  # {"@type": "Brand", "name": "Acme"}
        return _word(value.get("name"))
    return clean_word(str(value))


def _tags(value: object, paths: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The tags given, and the leaves of the categories beside the main one."""
    given = [] if is_missing(value) else _BETWEEN_TAGS.split(value[:LIST_LIMIT]) if isinstance(value, str) else value
    words = [clean_word(str(tag)) for tag in given if isinstance(tag, str | int)] if isinstance(given, list) else []
    words += [path[-1] for path in paths[1:]]
    return tuple(dict.fromkeys(word for word in words if not is_missing(word)))


def _links(given: dict[str, object]) -> dict[str, tuple[str, ...]]:
    """{relation: ids} of what the row links; a cell may hold several."""
    found: dict[str, tuple[str, ...]] = {}
    for relation in LINKED:
        value = given.get(relation)
        if is_missing(value):
            continue
        cells = _BETWEEN_TAGS.split(value[:LIST_LIMIT]) if isinstance(value, str) else value
        names = [id_of(cell) for cell in (cells if isinstance(cells, list | tuple) else [cells])]
        ids = tuple(dict.fromkeys(name for name in names if isinstance(name, str)))[:LINKS_LIMIT]
        if ids:
            found[relation] = ids
    return found


def _object(value: object) -> dict[str, object]:
    return {str(name): held for name, held in value.items()} if isinstance(value, dict) else {}


def _language(value: object) -> str:
    """ "zh-CN" -> "zh"."""
    return "" if is_missing(value) else re.split(r"[-_]", str(value).strip().lower())[0][:8]


def _json_list(text: str) -> list[object] | None:
    if not text.startswith("["):
        return None
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def _says_nan(value: object) -> bool:
    return (isinstance(value, float) and math.isnan(value)) or str(value).strip().casefold() == "nan"
