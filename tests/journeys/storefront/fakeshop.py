"""A small shop that answers `/v1/...` as the service does, without learning: realistic products, canned reasons.

The storefront's browser tests run against it, so that a page can be tested with products a real catalog rarely has
(hostile titles, missing prices) and does not wait for a model. Its ranking is by plain counts, nothing more.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import unquote

from litestar import Litestar, Request, Response, delete, get, post

from bodega.web.storefront import StorefrontOptions, storefront_handlers

Http = Request[Any, Any, Any]
Item = dict[str, Any]

LINES = """
Whole Milk|Kings Hill|Dairy > Milk|2.49|1 gal
Semi Skimmed Milk|Kings Hill|Dairy > Milk|2.29|1 qt
Oat Drink Barista|Oatley Farm|Dairy > Milk|3.49|1 l
Chocolate Milk|Happy Cow|Dairy > Milk|1.99|16 oz
Greek Yogurt Natural|Olympia|Dairy > Yogurt|4.29|32 oz
Strawberry Yogurt|Happy Cow|Dairy > Yogurt|0.99|6 oz
Mature Cheddar|Old Barn|Dairy > Cheese|5.79|12 oz
Sliced Gouda Cheese|Old Barn|Dairy > Cheese|3.99|8 oz
Salted Butter|Old Barn|Dairy > Butter|3.69|1 lb
Free Range Eggs Large|Sunny Yard|Dairy > Eggs|3.29|12 ct
Sourdough Loaf|Millstone|Bakery > Bread|4.50|
French Baguette|Millstone|Bakery > Bread|1.79|
Blueberry Muffins|Millstone|Bakery > Sweet|3.99|4 ct
Chocolate Chip Cookies|Aunt May|Bakery > Sweet|2.99|14 oz
Carrot Cake|Aunt May|Bakery > Sweet|12.00|
Gala Apples|Green Valley|Produce > Fruit|1.49|1 lb
Bananas|Green Valley|Produce > Fruit|0.59|1 lb
Strawberries|Green Valley|Produce > Fruit|3.49|1 lb
Navel Oranges|Green Valley|Produce > Fruit|4.99|4 lb
Red Grapes Seedless|Green Valley|Produce > Fruit|2.99|2 lb
Baby Spinach Salad|Green Valley|Produce > Vegetables|2.79|10 oz
Carrots|Green Valley|Produce > Vegetables|1.29|2 lb
Vine Tomatoes|Green Valley|Produce > Vegetables|2.49|1 lb
Yellow Potatoes|Green Valley|Produce > Vegetables|3.99|5 lb
Sirloin Steak|Butcher & Sons|Meat & Fish > Beef|11.99|1 lb
Chicken Drumsticks|Butcher & Sons|Meat & Fish > Poultry|5.49|2 lb
Smoked Bacon|Butcher & Sons|Meat & Fish > Pork|6.29|12 oz
Atlantic Salmon Fillet|North Sea|Meat & Fish > Fish|9.99|12 oz
Raw Shrimp Peeled|North Sea|Meat & Fish > Fish|10.49|1 lb
Spaghetti No. 5|Nonna Rosa|Pantry > Pasta|1.59|16 oz
Tomato Basil Pasta Sauce|Nonna Rosa|Pantry > Sauces|2.89|24 oz
Extra Virgin Olive Oil|Nonna Rosa|Pantry > Oil|8.99|500 ml
Basmati Rice|Golden Grain|Pantry > Rice|6.49|5 lb
Crunchy Peanut Butter|Aunt May|Pantry > Spreads|3.19|16 oz
Strawberry Jam|Aunt May|Pantry > Spreads|2.79|12 oz
Corn Flakes Cereal|Golden Grain|Pantry > Breakfast|3.99|18 oz
Chicken Noodle Soup|Campfire|Pantry > Soup|1.89|10 oz
Sweet Corn Canned|Campfire|Pantry > Canned|0.99|15 oz
Sea Salt Potato Chips|Crunch Co|Snacks > Chips|2.49|9 oz
Dark Chocolate 70%|Cacao Lab|Snacks > Chocolate|2.99|100 g
Sour Candy Mix|Crunch Co|Snacks > Candy|1.49|5 oz
Roasted Almonds|Golden Grain|Snacks > Nuts|5.99|12 oz
Pepperoni Pizza|Nonna Rosa|Frozen > Pizza|5.49|21 oz
Vanilla Ice Cream|Happy Cow|Frozen > Ice Cream|4.79|1 qt
Espresso Coffee Beans|Cacao Lab|Drinks > Coffee|9.49|12 oz
Jasmine Green Tea|Cloud Leaf|Drinks > Tea|3.99|20 ct
Orange Juice|Sunny Yard|Drinks > Juice|3.29|52 oz
Sparkling Water|Brook|Drinks > Water|0.99|1 l
Cola Classic|Fizz|Drinks > Soda|1.79|2 l
India Pale Ale Beer|Brook|Drinks > Beer|8.99|6 pk
Mint Toothpaste|Dr White|Household > Care|2.59|6 oz
Lavender Hand Soap|Dr White|Household > Care|1.99|3 ct
Laundry Detergent|Clearly|Household > Cleaning|9.99|50 oz
Toilet Paper|Clearly|Household > Paper|7.49|12 ct
Beeswax Candle|Aunt May|Household > Home|4.99|
Adult Dog Food Chicken|Rex|Pets > Dogs|14.99|15 lb
Tulip Bouquet|Green Valley|Flowers > Cut Flowers|7.99|
Multivitamin Tablets|Dr White|Health > Vitamins|8.49|100 ct
纯牛奶|蒙源|乳品 > 牛奶|12.80|250毫升
草莓酸奶|蒙源|乳品 > 酸奶|9.90|6杯
龙井绿茶|云叶|饮品 > 茶|68.00|100克
鲜肉水饺面条|老王家|主食 > 面条|15.50|500克
"""

REASONS = {
    "home": [
        ("transition", 0.6, "Often chosen after {name}"),
        ("popular", 0.25, "Popular right now"),
        ("repeat", 0.15, "You have bought this before"),
    ],
    "similar": [
        ("collaborative", 0.7, "Shoppers who chose {name} chose this too"),
        ("transition", 0.3, "Often chosen after {name}"),
    ],
    "together": [("transition", 0.9, "Often bought with {name}"), ("popular", 0.1, "Popular right now")],
    "search": [("lexical", 0.85, "Matches “{name}”"), ("popular", 0.15, "Popular right now")],
}


def grocery() -> list[Item]:
    """Sixty products in English and Chinese."""
    items = []
    for number, line in enumerate(LINES.strip().splitlines()):
        title, brand, category, price, size = line.split("|")
        item: Item = {
            "id": f"p{number}",
            "title": f"{title} {size}".strip(),
            "brand": brand,
            "category": category.split(" > "),
            "price": float(price),
            "currency": "CNY" if "\u4e00" <= title[0] <= "\u9fff" else "USD",
        }
        item["attributes"] = {"organic": number % 4 == 0, **({"size": size} if size else {})}
        item["description"] = (
            f"{title} from {brand}. Fresh on the shelf every morning, chosen by people who eat it themselves."
        )
        if number % 17 == 5:
            item["availability"] = "out_of_stock"
        if number % 13 == 3:
            item["stock"] = 3
        items.append(item)
    return items


@dataclass
class FakeShop:
    """Answers and remembers every request."""

    items: list[Item] = field(default_factory=grocery)
    events: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)
    suggestions: list[dict[str, str]] | None = None
    busy: Counter[str] = field(default_factory=Counter)
    """How often a call is still refused with 503."""
    telling: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Query -> what its page says beside its hits: `understood`, `relaxed`, `banners`, `redirect`, `related`."""
    reviews: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Item -> its reviews, as the service tells them."""
    related: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """Item -> {relation: ids of items}."""
    consent: dict[str, bool] = field(default_factory=dict)
    """What was said of each purpose."""
    sorts: list[str] = field(default_factory=lambda: ["relevance", "price_up", "price_down", "newest", "-rating"])
    gpc: bool = False
    erased: list[str] = field(default_factory=list)
    """Tokens whose bearers asked to be forgotten."""
    slow_events: float = 0.0
    """Seconds until events are acknowledged (and known)."""
    late: bool = False
    """Lists wait while this is true; `waited` counts them."""
    waited: int = 0

    async def turn(self) -> None:
        """When a list may be answered."""
        self.waited += self.late
        while self.late:
            await asyncio.sleep(0.01)

    def by_id(self, item_id: str) -> Item | None:
        return next((item for item in self.items if item["id"] == item_id), None)

    def reviewed(self, item_id: str, ask: dict[str, str]) -> dict[str, Any]:
        """What is written of an item, as the service tells it."""
        held = self.reviews.get(item_id, [])
        stars = [round(each["stars"]) for each in held]
        found = [each for each in held if ask.get("stars", "0") in ("0", str(round(each["stars"])))]
        found = sorted(found, key=lambda each: each["stars"], reverse=ask.get("order") != "lowest")
        start, k = int(ask.get("offset", 0)), int(ask.get("k", 10))
        quote = {"text": held[0]["text"], "review": "r0", "polarity": 0.5} if held else {}
        against = quote | {"polarity": -0.5}
        return {
            "item": item_id,
            "stats": {
                "count": len(held),
                "rated": len(held),
                "mean": sum(stars) / len(stars) if stars else None,
                "histogram": [stars.count(n) for n in range(1, 6)],
                "flagged": 0,
            },
            "origin": "lexicon" if held else "",
            "aspects": [{"aspect": "quality", "praise": 3, "complaint": 1, "quotes": [quote, against]}] if held else [],
            "summary": [quote] if held else [],
            "total": len(found),
            "reviews": found[start : start + k],
        }

    def variants(self, item_id: str) -> dict[str, Any]:
        """The items of its group, as the service tells them."""
        item = self.by_id(item_id) or {}
        group = item.get("group")
        all_of_it = [each for each in self.items if group and each.get("group") == group] or [item]
        axes: dict[str, list[str]] = {}
        for each in all_of_it:
            for name, value in each.get("options", {}).items():
                axes.setdefault(name, []).extend([value] if value not in axes.get(name, []) else [])
        told = [
            {
                "item": each["id"],
                "title": each["title"],
                "options": each.get("options", {}),
                "available": each.get("availability") != "out_of_stock",
                "document": each,
            }
            for each in all_of_it
        ]
        return {"item": item_id, "group": group or "", "axes": axes, "variants": told}

    def relations(self, item_id: str) -> dict[str, Any]:
        found = {
            name: [{"item": one, "title": "", "strength": 1.0, "document": self.by_id(one)} for one in ids]
            for name, ids in self.related.get(item_id, {}).items()
        }
        return {"item": item_id, "title": "", "relations": found, "traits": []}

    def about(self) -> dict[str, Any]:
        return {
            "name": "Corner Bodega",
            "language": "en",
            "currency": "USD",
            "sorts": self.sorts,
            "relations": bool(self.related),
            "reviews": bool(self.reviews),
            "variants": any(item.get("group") for item in self.items),
            "gpc": self.gpc,
        }

    def held(self) -> dict[str, Any]:
        return {"personalisation": True, "learning": True, **self.consent, "said": sorted(self.consent)}

    def kept(self, token: str) -> dict[str, Any]:
        session = token.removeprefix("token of ")
        mine = [event for event in self.events if event.get("session") == session]
        return {"user": "", "ids": [], "visits": [session], "consent": self.held(), "events": mine, "reviews": []}

    def erase(self, token: str) -> dict[str, Any]:
        session = token.removeprefix("token of ")
        gone = [event for event in self.events if event.get("session") == session]
        self.events[:] = [event for event in self.events if event.get("session") != session]
        self.erased.append(token)
        return {"id": "receipt-1", "time": "2026-01-02T10:00:00Z", "removed": {"events": len(gone)}, "signature": "x"}

    def clicked(self, session: str) -> list[str]:
        wanted = ("click", "view", "cart")
        return [e["item"] for e in self.events if e.get("session") == session and e["type"] in wanted]

    def dismissed(self, session: str) -> set[str]:
        return {e["item"] for e in self.events if e.get("session") == session and e["type"] == "dismiss"}

    def recommend(self, ask: dict[str, Any]) -> dict[str, Any]:
        place, session, k = ask.get("place", "home"), ask.get("session", ""), ask.get("k", 20)
        personal = ask.get("personal", True) not in (False, "False", "false")
        seen = self.clicked(session) if personal else []
        if place == "repeat":
            pool = [self.items[n] for n in (0, 9, 10, 16, 44)] if ask.get("user") else []
        elif place == "recent":
            pool = [item for i in dict.fromkeys(reversed(seen)) if (item := self.by_id(i))]
        else:
            anchors = [item for i in (ask.get("items") or seen[-3:]) if (item := self.by_id(i))]
            roots = Counter(_root(item) for item in anchors)
            shift = {"trending": 7, "popular": 3, "together": 11}.get(place, 0)
            order = self.items[shift:] + self.items[:shift]
            if place in ("home", "similar", "basket", "together"):
                order = sorted(order, key=lambda item: -roots[_root(item)])
            skip = {item["id"] for item in anchors} | (self.dismissed(session) if personal else set())
            pool = [item for item in order if item["id"] not in skip and item.get("availability") != "out_of_stock"]
        name = (self.by_id(seen[-1]) or {}).get("title", "") if seen else "what you looked at"
        degraded = [] if seen or place != "home" else ["popular: no history yet"]
        return self.page(place, pool[:k], len(pool), name, degraded=degraded)

    def search(self, ask: dict[str, Any]) -> dict[str, Any]:
        query = ask.get("query", "").lower()
        corrected = "" if ask.get("verbatim") else {"mlik": "milk", "choclate": "chocolate"}.get(query, "")
        words = (corrected or query).split()
        match = [
            item
            for item in self.items
            if all(word in f"{item['title']} {item.get('brand', '')}".lower() for word in words)
        ]
        filters = ask.get("filters", [])
        found = [item for item in match if all(_passes(item, one) for one in filters)]
        facets = [
            _facet(
                name,
                [item for item in match if all(_passes(item, one) for one in filters if one["field"] != name)],
                {value for one in filters if one["field"] == name for value in one.get("values", [])},
            )
            for name in dict.fromkeys(
                name for asked in ask.get("facets", []) for name in (_useful(match) if asked == "*" else [asked])
            )
        ]
        sort = ask.get("sort", "relevance")
        if sort.startswith("price"):
            found.sort(key=lambda item: item.get("price") or 0, reverse=sort == "price_down")
        offset, k = ask.get("offset", 0), ask.get("k", 20)
        page = self.page(
            "search" if query else "category",
            found[offset : offset + k],
            len(found),
            query,
            facets=facets,
            corrected=corrected,
            offset=offset,
        )
        told = {} if ask.get("verbatim") else self.telling.get(query, {})
        return {**page, "query": ask.get("query", ""), **told}

    def facet_values(self, ask: dict[str, Any]) -> dict[str, Any]:
        page = self.search({"query": ask.get("q", ""), "filters": ask["filters"], "facets": [ask["field"]]})
        facet = page["facets"][0]
        like = [each for each in facet["values"] if ask["text"].lower() in each["value"].lower()]
        return {"facet": {**facet, "values": like}}

    def page(
        self,
        place: str,
        items: list[Item],
        total: int,
        name: str,
        *,
        facets: Any = (),
        degraded: Any = (),
        corrected: str = "",
        offset: int = 0,
    ) -> dict[str, Any]:
        reasons = REASONS.get(place, [("popular", 1.0, "Popular right now")])
        hits = [
            {
                "id": item["id"],
                "position": offset + n,
                "score": 1.0 - n / 100,
                "document": item,
                "why": [
                    {"source": s, "share": share, "text": text.format(name=name), "because": []}
                    for s, share, text in reasons
                ],
            }
            for n, item in enumerate(items)
        ]
        return {
            "request_id": f"r{len(self.asked)}",
            "place": place,
            "hits": hits,
            "total": total,
            "query": "",
            "corrected": corrected,
            "facets": list(facets),
            "degraded": list(degraded),
            "snapshot": "fake",
            "took_ms": 1.0,
        }

    def suggest(self, prefix: str) -> list[dict[str, str]]:
        if self.suggestions is not None:
            return self.suggestions
        low = prefix.lower()
        words = sorted(
            {w for item in self.items for w in item["title"].lower().split() if w.startswith(low) and not w.isdigit()}
        )
        found = [{"text": word, "kind": "query", "item": ""} for word in words[:3]]
        found += [
            {"text": item["category"][-1], "kind": "category", "item": ""}
            for item in self.items
            if low in item["category"][-1].lower()
        ][:1]
        return (
            found
            + [
                {"text": item["title"], "kind": "title", "item": item["id"]}
                for item in self.items
                if low in item["title"].lower()
            ][:4]
        )


def _root(item: Item) -> str:
    return (item.get("category") or [""])[0]


def _values(item: Item, name: str) -> list[Any]:
    if name == "category":
        return [" > ".join(item["category"])] if item.get("category") else []
    value = item.get(name, item.get("attributes", {}).get(name))
    if isinstance(value, list):
        return value
    return [] if value in (None, "") else [str(value).lower() if isinstance(value, bool) else value]


def _passes(item: Item, one: dict[str, Any]) -> bool:
    values = _values(item, one["field"])
    if one.get("values"):
        return any(
            v == want or (one["field"] == "category" and v.startswith(f"{want} > "))
            for v in values
            for want in one["values"]
        )
    return any(one.get("low", float("-inf")) <= value <= one.get("high", float("inf")) for value in values)


def _ticked(texts: list[str]) -> list[dict[str, Any]]:
    """`brand:Acme` of an address as filters; ranges are left out."""
    told = [text.partition(":") for text in texts]
    return [{"field": name, "values": [value]} for name, _, value in told if ".." not in value]


def _useful(items: list[Item]) -> list[str]:
    """Attributes that divide these items."""
    seen: dict[str, set[str]] = {}
    for item in items:
        for name in item.get("attributes", {}):
            seen.setdefault(name, set()).update(str(value) for value in _values(item, name))
    return [name for name, values in seen.items() if len(values) > 1][:6]


def _facet(name: str, items: list[Item], chosen: set[str]) -> dict[str, Any]:
    values = [value for item in items for value in _values(item, name)]
    if name == "price":
        return {"field": name, **_span(values)}
    if name == "category":
        return {"field": name, "values": _levels([item.get("category") or [] for item in items], chosen)}
    return {
        "field": name,
        "values": [{"value": value, "count": count} for value, count in Counter(values).most_common()],
    }


def _levels(paths: list[list[str]], chosen: set[str]) -> list[dict[str, Any]]:
    """The top level, and two levels of what is chosen or the only branch."""
    counts = Counter(" > ".join(path[: n + 1]) for path in paths for n in range(len(path)))
    top = [path for path, _ in counts.most_common() if " > " not in path]
    roots = {path.split(" > ")[0] for path in chosen} | set(top if len(top) == 1 else [])
    told: list[dict[str, Any]] = [{"value": path, "count": counts[path]} for path in top]
    for path, count in counts.most_common():
        parent = path.rpartition(" > ")[0]
        if parent in roots:
            told.append({"value": path, "count": count, "parent": parent, "depth": 1})
    return told


def _span(prices: list[float]) -> dict[str, Any]:
    """Ends and histogram of prices, as the service tells them: bars two wide, or wider where they would be many."""
    if not prices:
        return {}
    width = 2.0
    while max(prices) / width > 50:
        width *= 10
    bars = range(int(min(prices) // width), int(max(prices) // width) + 1)
    ranges = [
        {"low": n * width, "high": (n + 1) * width, "count": sum(n <= price / width < n + 1 for price in prices)}
        for n in bars
    ]
    return {"low": min(prices), "high": max(prices), "ranges": ranges}


def _answered(shop: FakeShop, path: str, ask: dict[str, Any], body: Any) -> Response[Any]:
    shop.asked.append((path, ask))
    if shop.busy[path] > 0:
        shop.busy[path] -= 1
        return Response({"title": "Overloaded"}, status_code=503, headers={"Retry-After": "1"})
    if path in shop.failing:
        return Response(
            {"title": "Internal error", "status": 500}, status_code=500, media_type="application/problem+json"
        )
    return Response(body(), status_code=200)


def handlers(shop: FakeShop) -> list[Any]:
    answer = partial(_answered, shop)

    @post("/v1/search")
    async def search(request: Http) -> Response[Any]:
        ask = await request.json()
        return answer("search", ask, lambda: shop.search(ask))

    @post("/v1/recommend")
    async def recommend(request: Http) -> Response[Any]:
        ask = await request.json()
        await shop.turn()
        return answer(f"recommend/{ask['place']}", ask, lambda: shop.recommend(ask))

    @get("/v1/suggest")
    async def suggest(request: Http) -> Response[Any]:
        ask = dict(request.query_params)
        return answer("suggest", ask, lambda: {"suggestions": shop.suggest(ask["q"])})

    @get("/v1/facets")
    async def facets(request: Http) -> Response[Any]:
        ask = {**request.query_params, "filters": _ticked(request.query_params.getall("filter", []))}
        return answer("facets", ask, lambda: shop.facet_values(ask))

    @get("/v1/items/{path:path}")
    async def item(request: Http) -> Response[Any]:
        # The raw path: an id may hold slashes, percent-encoded.
        item_id, _, kind = request.scope["raw_path"].decode().removeprefix("/v1/items/").partition("/")
        ask, item_id = dict(request.query_params), unquote(item_id)
        if kind in ("similar", "together"):
            await shop.turn()
            around = {**ask, "place": kind, "items": [item_id], "k": int(ask.get("k", 20))}
            return answer(kind, ask, lambda: shop.recommend(around))
        if kind == "variants":
            return answer(kind, ask, lambda: shop.variants(item_id))
        if kind == "relations":
            return answer(kind, ask, lambda: shop.relations(item_id))
        if kind == "reviews":
            return answer(kind, ask, lambda: shop.reviewed(item_id, ask))
        found = shop.by_id(item_id)
        if found is None:
            return Response({"title": "UnknownItem", "status": 404}, status_code=404)
        return answer("item", ask, lambda: found)

    return [search, recommend, suggest, facets, item, *people(shop)]


def people(shop: FakeShop) -> list[Any]:
    """What belongs to visitors: consent, what is kept of them, reviews."""
    answer = partial(_answered, shop)

    @post("/v1/events")
    async def events(request: Http) -> Response[Any]:
        batch = (await request.json())["events"]
        await asyncio.sleep(shop.slow_events)

        def accept() -> dict[str, int]:
            shop.events.extend(batch)
            return {"accepted": len(batch)}

        return answer("events", {"headers": dict(request.headers)}, accept)

    @get("/v1/about")
    async def about() -> Response[Any]:
        return answer("about", {}, shop.about)

    @get("/v1/consent")
    async def consent(request: Http) -> Response[Any]:
        return answer("consent", dict(request.query_params), shop.held)

    @post("/v1/consent")
    async def say(request: Http) -> Response[Any]:
        said = await request.json()
        shop.consent.update(said["purposes"])
        return answer("consent", said, shop.held)

    @get("/v1/me")
    async def me(request: Http) -> Response[Any]:
        return answer("me", {}, lambda: shop.kept(request.headers["x-shopper-token"]))

    @delete("/v1/me", status_code=200)
    async def forget(request: Http) -> Response[Any]:
        return answer("me", {}, lambda: shop.erase(request.headers["x-shopper-token"]))

    @post("/v1/reviews")
    async def write(request: Http) -> Response[Any]:
        rows = (await request.json())["reviews"]
        for row in rows:
            held = shop.reviews.setdefault(row["item"], [])
            held.append(
                {"id": f"w{len(held)}", "title": "", "text": "", "time": None, "verified": False, "helpful": 0, **row}
            )
        return answer("reviews", rows[0], lambda: {"accepted": len(rows), "dead": [], "withheld": 0})

    @post("/v1/reviews/helpful")
    async def helpful(request: Http) -> Response[Any]:
        said = await request.json()
        one = next(each for held in shop.reviews.values() for each in held if each["id"] == said["id"])
        one["helpful"] += 1 if said["helped"] else -1
        return answer("helpful", said, lambda: {"id": said["id"], "helpful": one["helpful"], "counted": True})

    return [events, about, consent, say, me, forget, write, helpful]


def app(shop: FakeShop, options: StorefrontOptions | None = None) -> Litestar:
    """The fake shop with its storefront, to be served."""
    options = options or StorefrontOptions(
        api_key="bodega_test_key",
        shop_name="Corner Bodega",
        shoppers=("household-17",),
        token=lambda visit: f"token of {visit}",
    )
    return Litestar([*handlers(shop), *storefront_handlers(options)], openapi_config=None)
