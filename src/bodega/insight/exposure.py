"""Who gets the attention of shoppers, and who is served how well? Shares with intervals, against two yardsticks.

A place draws attention by 1 / log2(place + 2) (the discount of NDCG: the first place counts 1, the tenth .29), whoever
looks. A group's *exposure* is its share of all attention; it is read against its share of the catalog (is everybody
shown alike?) and of purchases (is everybody shown as they sell?). Neither is "fair" by itself: both are facts.

    exposure_by      groups of items (seller, brand, popularity, an attribute): shares, ratios, 95 % intervals
    concentration    Gini and the share of the most shown hundredth of items, over the whole catalog
    quality_by       groups of shoppers: share of pages chosen from, NDCG@10 of what was chosen, with 95 % intervals

Intervals are a bootstrap over shoppers, not over places: one shopper's hundred pages are one opinion. Pages of nobody
in particular count as one shopper each. Cost: 200 resamples of 100,000 shoppers and 50 groups take 2 s.
Not for: causes. A group that sells little because it is shown little looks justified here; only an experiment tells.
Papers: Singh & Joachims 2018 (exposure and merit); Jarvelin & Kekalainen 2002 (discount).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
import numpy as np

from bodega.insight.shown_pages import Pages
from bodega.schema.arrays import Doubles, Ints, Longs

RESAMPLES = 200
GROUPS = 50
"""Groups of a table; what is left is one row, named ""."""
WEEK = 604_800.0
NEW_DAYS = 7.0
"""A shopper who was first seen at most so long before a page is new on it."""
_HAN = re.compile("[\u3400-\u9fff]")


class Exposed(msgspec.Struct, frozen=True, kw_only=True):
    """One group of items. Shares are of the whole, 0 to 1."""

    group: str
    """"" for all groups that are not named."""
    items: int
    exposure: float
    low: float
    high: float
    """95 % interval of the exposure."""
    catalog: float
    purchases: float
    against_catalog: float | None
    """exposure / share of the catalog: 1 is as large as its part of the catalog."""
    against_purchases: float | None


class ByWeek(msgspec.Struct, frozen=True, kw_only=True):
    """One week, from Monday."""

    start: float
    pages: int
    gini: float
    top: float
    exposure: dict[str, float]
    """{group: share}, of the groups most shown."""


class Concentration(msgspec.Struct, frozen=True, kw_only=True):
    """How uneven attention is over the items of the catalog."""

    gini: float
    low: float
    high: float
    top: float
    """Share of the most shown hundredth of the items."""
    never: float
    """Share of the items that nobody was shown."""


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """One group of shoppers."""

    by: str
    group: str
    pages: int
    shoppers: int
    chosen: float
    """Share of pages of which something was chosen."""
    chosen_low: float
    chosen_high: float
    ndcg: float | None
    """NDCG@10 of what was chosen, over the pages of which something was."""
    ndcg_low: float | None
    ndcg_high: float | None


class _Weighed:
    """Attention of every place, and who looked."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.weight: Doubles = 1 / np.log2(pages.place.astype(np.float64) + 2)
        nobody = pages.unit < 0
        unit = pages.unit.copy()
        unit[nobody] = int(pages.unit.max(initial=-1)) + 1 + np.arange(np.count_nonzero(nobody))
        self.owner: Longs = np.unique(unit, return_inverse=True)[1].astype(np.int64)
        """(n pages,) whose page it is; each of nobody's is somebody's of its own."""
        self.n_owners = int(self.owner.max(initial=-1)) + 1
        self.known = pages.item >= 0


def exposure_by(pages: Pages, group: Ints, names: Sequence[str], rng: np.random.Generator) -> list[Exposed]:
    """Groups of items, the most shown first. `group` (n_items,): number of the group of each item, -1 for none.

    Groups beyond the `GROUPS` most shown (or largest) are one row, named "".
    """
    weighed = _Weighed(pages)
    codes, labels = _fewer(weighed, group, names)
    width = len(labels)
    held = codes[pages.item[weighed.known]]
    own = weighed.owner[pages.page[weighed.known]]
    sums = _sums(own * width + held, weighed.weight[weighed.known], weighed.n_owners * width)
    matrix = sums.reshape(weighed.n_owners, width)
    shares, low, high = _shares(matrix, rng)
    bought = np.bincount(codes[pages.item[weighed.known & pages.bought]], minlength=width).astype(np.float64)
    bought /= max(bought.sum(), 1.0)
    size = np.bincount(codes, minlength=width)
    catalog = size / max(len(codes), 1)
    order = np.lexsort((np.arange(width), -shares))
    return [
        Exposed(
            group=labels[row],
            items=int(size[row]),
            exposure=round(float(shares[row]), 6),
            low=round(float(low[row]), 6),
            high=round(float(high[row]), 6),
            catalog=round(float(catalog[row]), 6),
            purchases=round(float(bought[row]), 6),
            against_catalog=_ratio(shares[row], catalog[row]),
            against_purchases=_ratio(shares[row], bought[row]),
        )
        for row in order.tolist()
    ]


def by_week(pages: Pages, group: Ints, names: Sequence[str], n_items: int, most: int = 6) -> list[ByWeek]:
    """The same week by week, oldest first, of the groups most shown."""
    weighed = _Weighed(pages)
    codes, labels = _fewer(weighed, group, names, most)
    week = np.floor((pages.time - 345_600.0) / WEEK).astype(np.int64)  # 1970 began on a Thursday
    of_place = week[pages.page]
    out = []
    for number in np.unique(week).tolist():
        own = weighed.known & (of_place == number)
        shown, weight = pages.item[own], weighed.weight[own]
        total = float(weight.sum())
        if not total:
            continue
        parts = np.bincount(codes[shown], weights=weight, minlength=len(labels)) / total
        items = _sums(shown, weight, n_items)
        out.append(
            ByWeek(
                start=number * WEEK + 345_600.0,
                pages=int(np.count_nonzero(week == number)),
                gini=round(gini(items), 5),
                top=round(top_share(items), 5),
                exposure={labels[row]: round(float(parts[row]), 6) for row in range(len(labels))},
            )
        )
    return out


def concentration(pages: Pages, n_items: int, rng: np.random.Generator, resamples: int = 60) -> Concentration:
    """How uneven attention is, with a bootstrap over shoppers."""
    weighed = _Weighed(pages)
    shown, weight = pages.item[weighed.known], weighed.weight[weighed.known]
    own = weighed.owner[pages.page[weighed.known]]
    whole = _sums(shown, weight, n_items)
    drawn = [gini(_sums(shown, weight * _drawn(rng, max(weighed.n_owners, 1))[own], n_items)) for _ in range(resamples)]
    found = gini(whole)
    # a resample holds fewer shoppers, so it is more uneven than the whole: the basic bootstrap takes that off
    low, high = 2 * found - np.nanquantile(drawn, [0.975, 0.025]) if len(shown) else (np.nan, np.nan)
    return Concentration(
        gini=_number(found),
        low=_number(max(0.0, min(found, float(low)))),
        high=_number(min(1.0, max(found, float(high)))),
        top=_number(top_share(whole)),
        never=round(float(np.mean(whole == 0)), 5) if n_items else 0.0,
    )


def quality_by(pages: Pages, rng: np.random.Generator) -> list[Quality]:
    """How well groups of shoppers are served."""
    weighed = _Weighed(pages)
    chosen, ndcg = _page_quality(pages)
    named = pages.unit >= 0
    first = np.append(pages.first, np.inf)[np.where(named, pages.unit, -1)]
    age = np.where(named, pages.time - first, 0.0)
    searched = np.array([bool(words) for words in pages.words], np.bool_)
    han = np.array([bool(_HAN.search(words)) for words in pages.words], np.bool_)
    groups = {
        ("all", "all"): np.ones(len(pages.time), np.bool_),
        ("acquaintance", "new"): named & (age <= NEW_DAYS * 86_400),
        ("acquaintance", "returning"): named & (age > NEW_DAYS * 86_400),
        ("identity", "known"): pages.known,
        ("identity", "guest"): ~pages.known,
        ("language", "latin"): searched & ~han,
        ("language", "han"): searched & han,
    }
    out = []
    for (by, name), keep in groups.items():
        if keep.any():
            out.append(_quality(weighed, keep, (chosen, ndcg), (by, name), rng))
    return out


def gini(exposure: Doubles) -> float:
    """Inequality over all items: 0 = all alike, 1 = one has everything; NaN where nothing was shown.

    >>> gini(np.array([1.0, 1.0, 1.0, 1.0])), gini(np.array([0.0, 0.0, 0.0, 1.0]))
    (0.0, 0.75)
    """
    total, n = float(exposure.sum()), len(exposure)
    if not total:
        return float("nan")
    ordered = np.sort(exposure)
    return float(((2 * np.arange(1, n + 1) - n - 1) * ordered).sum() / (n * total))


def top_share(exposure: Doubles, part: float = 0.01) -> float:
    """Share of the most shown hundredth of the items (at least one item)."""
    total = float(exposure.sum())
    most = max(1, round(part * len(exposure)))
    return float(np.sort(exposure)[-most:].sum() / total) if total else float("nan")


def popularity_deciles(wanted: Longs) -> Ints:
    """(n_items,) 0 = the tenth of the items wanted least, 9 = most; ties in the order of the catalog."""
    order = np.argsort(wanted, kind="stable")
    out = np.empty(len(wanted), np.int32)
    out[order] = np.arange(len(wanted)) * 10 // max(len(wanted), 1)
    return out


def _fewer(weighed: _Weighed, group: Ints, names: Sequence[str], most: int = GROUPS) -> tuple[Longs, list[str]]:
    """(number of the row of each item, names of the rows): the groups most shown, and one row for all others."""
    n = len(names)
    codes = np.where(group >= 0, group, n).astype(np.int64)
    pages = weighed.pages
    shown = np.bincount(codes[pages.item[weighed.known]], weights=weighed.weight[weighed.known], minlength=n + 1)[:n]
    size = np.bincount(codes, minlength=n + 1)[:n]
    kept = np.lexsort((np.arange(n), -size, -shown))[:most] if n > most else np.arange(n)
    row = np.full(n + 1, len(kept), np.int64)
    row[kept] = np.arange(len(kept))
    labels = [names[place] for place in kept.tolist()]
    found = row[codes]
    return (found, [*labels, ""]) if (found == len(kept)).any() else (found, labels)


def _shares(matrix: Doubles, rng: np.random.Generator) -> tuple[Doubles, Doubles, Doubles]:
    """(share of each column, low, high) of sums by (owner, column)."""
    total = matrix.sum()
    if not total:
        zero = np.zeros(matrix.shape[1])
        return zero, zero, zero
    drawn = np.stack([_drawn(rng, len(matrix)) @ matrix for _ in range(RESAMPLES)])
    parts = drawn / np.maximum(drawn.sum(axis=1, keepdims=True), 1e-12)
    low, high = np.quantile(parts, [0.025, 0.975], axis=0)
    share = matrix.sum(axis=0) / total
    # what was never shown is never drawn: the rule of three says how much that may mean (Hanley & Lippman-Hand 1983)
    return share, low, np.where(share > 0, high, min(1.0, 3 / len(matrix)))


def _page_quality(pages: Pages) -> tuple[Doubles, Doubles]:
    """((n pages,) 1 where something was chosen, NDCG@10 of it; NaN where nothing was)."""
    n, page = len(pages.time), pages.page
    within = np.arange(len(pages.item)) - pages.starts[page]
    hits = pages.chosen & (within < 10)
    gain = np.bincount(page[hits], weights=1 / np.log2(within[hits] + 2), minlength=n)
    count = np.bincount(page[pages.chosen], minlength=n)
    ideal = np.concatenate([[1.0], np.cumsum(1 / np.log2(np.arange(2, 12)))])[np.minimum(count, 10)]
    return (count > 0).astype(np.float64), np.where(count > 0, gain / ideal, np.nan)


def _quality(
    weighed: _Weighed, keep: np.ndarray[tuple[int], np.dtype[np.bool_]], values: tuple[Doubles, Doubles],
    named: tuple[str, str], rng: np.random.Generator,
) -> Quality:  # fmt: skip
    chosen, ndcg = values
    owner = np.unique(weighed.owner[keep], return_inverse=True)[1]
    n = int(owner.max()) + 1
    judged = np.isfinite(ndcg[keep])
    sums = np.column_stack(
        [
            np.bincount(owner, minlength=n),
            np.bincount(owner, weights=chosen[keep], minlength=n),
            np.bincount(owner, weights=judged, minlength=n),
            np.bincount(owner, weights=np.nan_to_num(ndcg[keep]), minlength=n),
        ]
    ).astype(np.float64)
    drawn = np.stack([_drawn(rng, n) @ sums for _ in range(RESAMPLES)])
    rates = drawn[:, 1] / np.maximum(drawn[:, 0], 1)
    low, high = np.quantile(rates, [0.025, 0.975])
    total = sums.sum(axis=0)
    goods = drawn[drawn[:, 2] > 0]
    bounds = np.quantile(goods[:, 3] / goods[:, 2], [0.025, 0.975]) if total[2] and len(goods) else None
    return Quality(
        by=named[0],
        group=named[1],
        pages=int(total[0]),
        shoppers=n,
        chosen=round(float(total[1] / total[0]), 6),
        chosen_low=round(float(low), 6),
        chosen_high=round(float(high), 6),
        ndcg=round(float(total[3] / total[2]), 6) if total[2] else None,
        ndcg_low=None if bounds is None else round(float(bounds[0]), 6),
        ndcg_high=None if bounds is None else round(float(bounds[1]), 6),
    )


def _drawn(rng: np.random.Generator, n: int) -> Doubles:
    """How often each of n shoppers is drawn in one resample: (n,)."""
    return np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64)


def _sums(code: Ints | Longs, weight: Doubles, width: int) -> Doubles:
    """Sum of the weights of each code: (width,)."""
    return np.bincount(code, weights=weight, minlength=width).astype(np.float64)


def _ratio(share: float, of: float) -> float | None:
    return round(float(share / of), 4) if of > 0 else None


def _number(value: float) -> float:
    return round(value, 5) if np.isfinite(value) else 0.0
