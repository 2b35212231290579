"""A real shop in which every text that somebody could have written is an attack, served with storefront and console.

Products, queries, shoppers' ids, reviews, rules with banners, dead letters and labels of keys: five hundred texts each,
put in by the doors that real ones come through. It learns in the quick way and is served by a thread.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

LOT = 125
"""Products of one category: what one page shows at once."""


def _load(name: str) -> Any:
    """The helper beside this file; tests are no package, so it is loaded by its path."""
    full = f"xss_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        sys.modules[full] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[full]


@pytest.fixture(scope="session")
def attacks() -> Any:
    """The module with `attacks()`, WATCH and MARKUP."""
    return _load("attacks")


@dataclass
class Besieged:
    """The shop: its address, an admin's key, the texts."""

    url: str
    admin: str
    texts: tuple[str, ...]
    shop: Any


@pytest.fixture(scope="module")
def besieged(
    serving: Callable[..., Any], attacks: Any, tmp_path_factory: pytest.TempPathFactory, quick: Callable[[Path], Path]
) -> Iterator[Besieged]:
    import bodega
    from bodega.service import create_app
    from bodega.web.console import ConsoleOptions, console_handlers
    from bodega.web.storefront import StorefrontOptions, storefront_handlers

    texts = attacks.attacks()
    with bodega.open(quick(tmp_path_factory.mktemp("besieged") / "shop")) as shop:
        fill(shop, texts)
        assert shop.learn().published
        key = shop.keys.create("storefront", ("search", "events"))
        admin = shop.keys.create(texts[9], ("admin",))
        for text in texts[10:30]:
            shop.keys.create(text, ("search",))
        handlers = [
            *storefront_handlers(StorefrontOptions(api_key=key, shop_name=texts[8])),
            *console_handlers(ConsoleOptions(shop_name=texts[8])),
        ]
        with serving(create_app(shop, handlers=handlers)) as url:
            yield Besieged(url, admin, texts, shop)


def fill(shop: Any, texts: tuple[str, ...]) -> None:
    """Put the texts in, by the doors that real ones come through; columns of their own (a file each) are but twenty."""
    import bodega
    from bodega.errors import BadRequest
    from bodega.schema import DeadLetter, Phrase, Review, Rule, ShowBanner, When
    from bodega.schema.rules import checked_rule

    now = datetime.now(UTC) - timedelta(hours=2)
    items = [product(number, text) for number, text in enumerate(texts)]
    shop.catalog.upsert(items)
    events = []
    for number, text in enumerate(texts):
        for step in range(3):  # people enough for a query to be shown
            who, when = texts[(number + step) % 40], now - timedelta(minutes=7 * (number % 90) + step)
            told = {"user": who, "session": f"{who} {step}", "time": when}
            events.append(bodega.Event(type=bodega.EventType.SEARCH, query=text, **told))
            bought = items[(number * 7 + step) % 500].id
            events.append(bodega.Event(type=bodega.EventType.PURCHASE, item=bought, **told))
    shop.events.record(events)
    shop.reviews.add([Review(item=items[0].id, user=text, title=text, text=text, stars=5.0) for text in texts[:60]])
    rules, refused = [], 0
    for number, text in enumerate(texts):
        rule = Rule(
            id=f"r{number}",
            name=text,
            note=text,
            when=When(queries=(Phrase(f"besieged {number // 3}"),)),  # a page shows three banners
            then=(ShowBanner(text=text, url="/search?q=milk"),),
        )
        try:
            rules.append(checked_rule(rule))
        except BadRequest:
            refused += 1
    assert refused < 130, "only texts with control characters or with marks that turn the direction are refused"
    shop.rules.put(*rules, who=texts[0])
    shop.stores.dead.put(
        [DeadLetter(kind="event", reason="no_item", message=text, source=text, line=1, raw=text) for text in texts]
    )


def product(number: int, text: str) -> Any:
    import bodega

    return bodega.Item(
        id=f"x{number:03} {text}" if number % 5 == 0 else f"x{number:03}",
        title=text,
        description=text,
        brand=text,
        category=("Besieged", f"Lot {number // LOT}"),
        price=1.0 + number,
        currency="USD",
        images=(text,),
        attributes={"colour": text, "size": text[:9], **({text[:30]: text} if number < 20 else {})},
        tags=(text,),
        seller=text,
        url=text,
    )


@dataclass
class Watched:
    """Pages that remember what ran, and whether another host was asked."""

    contexts: Any
    watch: str
    markup: str
    base: str
    foreign: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    lent: list[tuple[Any, dict[str, Any]]] = field(default_factory=list)

    def open(self, **context: Any) -> Any:
        options = {"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", **context}
        lent = self.contexts.lend(options)
        self.lent.append((lent, options))
        page = lent.new_page()
        page.add_init_script(self.watch)
        page.set_default_timeout(30_000)
        page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._asked)
        return page

    def _asked(self, request: Any) -> None:
        """A photo may lie on another host, that is what an address of a photo is for; nothing else may be fetched."""
        if request.resource_type != "image" and not request.url.startswith((self.base, "data:", "blob:")):
            self.foreign.append(request.url)

    def found(self, page: Any) -> list[str]:
        """What ran or became markup on this page; empty is what we want."""
        told: list[str] = page.evaluate(self.markup)
        return told + self.dialogs + self.errors + self.foreign


@pytest.fixture
def watched(contexts: Any, besieged: Besieged, attacks: Any) -> Iterator[Watched]:
    made = Watched(contexts, attacks.WATCH, attacks.MARKUP, besieged.url)
    yield made
    for context, options in made.lent:
        contexts.back(context, options)


def squeezed(text: str) -> str:
    """A text as a page shows it: white space in one."""
    return " ".join(text.split())


@pytest.fixture
def shown(browser: Any) -> Callable[[Any, tuple[str, ...]], set[str]]:
    """Which of the texts stand on the page, letter by letter."""

    def look(page: Any, texts: tuple[str, ...]) -> set[str]:
        values = (
            "() => [document.body.innerText, ...[...document.querySelectorAll('input, textarea')].map(e => e.value)]"
        )
        whole = squeezed("\n".join(page.evaluate(values)))
        return {text for text in texts if squeezed(text) in whole}

    return look


@pytest.fixture
def seat(watched: Watched, besieged: Besieged) -> Any:
    """A page of the console, signed in."""
    page = watched.open()
    signed = page.request.post(
        f"{besieged.url}/v1/console/session", headers={"Authorization": f"Bearer {besieged.admin}"}
    )
    assert signed.ok, signed.text()
    page.add_init_script("localStorage.setItem('bodega.console', '1')")
    return page
