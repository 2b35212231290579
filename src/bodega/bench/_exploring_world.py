"""A small shop in which every click has a known chance: what bandits cost and learn can be counted, not estimated.

The generated world says how much each shopper likes each item. The shop's own ranking is good but not perfect, and
knows nothing of a third of its items, the new ones, which it puts below the page. Shoppers either look at each place
with a fixed chance (`place`), or read from the top and stop at the first thing they like (`cascade`). Beliefs take
1/log2 for the chance to be seen, the truth is another curve: as in a real shop, the model of attention is wrong.
Not for: claims about real shops.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from bodega.ranking.explore import Arms, Beliefs, Field, arranged, drawn, trial
from bodega.ranking.explore.policies import ALPHA, kl_bound
from bodega.schema import Explore
from bodega.schema.arrays import Doubles, Flags, Longs
from bodega.schema.trials import Decision, Slot
from bodega.testing._visits import CLICK_AT
from bodega.testing.world import WorldSpec, make_world

ITEMS, PAGE, SHOPPERS = 60, 10, 200
VISITS_A_DAY = 50
EPSILON = 0.1
LIST_POLICIES = ("greedy", "epsilon", "thompson", "linear", "linucb", "cascade", "cascade_ucb")


@dataclass(frozen=True, eq=False)
class BanditShop:
    """The truth, and what the shop knows of it."""

    liking: Doubles
    """(SHOPPERS, ITEMS) chance of a click once an item is looked at."""
    score: Doubles
    """(ITEMS,) the shop's own ranking, 0 to 1."""
    new: Flags
    kin: Doubles
    """(SHOPPERS, ITEMS) what the shop sees of a shopper's taste, 0 to 1, noisy."""
    examination: Doubles
    """(PAGE,) chance that a place is looked at."""

    @property
    def ranking(self) -> Longs:
        """The shop's own order."""
        return np.argsort(-self.score, kind="stable")

    @property
    def best(self) -> Longs:
        """The best order that is the same for everybody."""
        return np.argsort(-self.liking.mean(axis=0), kind="stable")

    def features(self, shopper: int) -> Doubles:
        """(ITEMS, d)."""
        fame = np.where(self.new, 0.0, self.score)
        return np.column_stack([np.ones(ITEMS), self.score, self.new, fame, self.kin[shopper]])

    def expected(self, shopper: int, page: Longs, reading: str) -> float:
        """Expected clicks on this page."""
        liking = self.liking[shopper, page]
        if reading == "cascade":
            return float(1.0 - np.prod(1.0 - liking))
        return float((self.examination * liking).sum())

    def clicks(self, shopper: int, page: Longs, reading: str, rng: np.random.Generator) -> Flags:
        """Which places are clicked."""
        liked = rng.random(len(page)) < self.liking[shopper, page]
        if reading == "cascade":
            return np.asarray(liked & (np.cumsum(liked) == 1))
        return np.asarray(liked & (rng.random(len(page)) < self.examination))


def bandit_shop(seed: int) -> BanditShop:
    """A shop; the same seed, the same shop."""
    rng = np.random.default_rng([seed, 34])
    truth = make_world(WorldSpec(n_items=ITEMS, n_shoppers=SHOPPERS, days=2, seed=seed)).truth
    liking = 1 / (1 + np.exp(CLICK_AT + 1.5 - truth.affinity.astype(np.float64)))
    quality = liking.mean(axis=0)
    guess = quality / quality.std() + rng.standard_normal(ITEMS)
    new = np.zeros(ITEMS, np.bool_)
    new[rng.permutation(ITEMS)[: ITEMS // 3]] = True
    low = np.sort(guess[~new])[::-1][PAGE]  # what is new begins below the page, in no order
    guess[new] = low - np.abs(rng.standard_normal(int(new.sum())))
    score = np.asarray((guess - guess.min()) / (guess.max() - guess.min()), np.float64)
    noisy = liking + 0.5 * liking.std() * rng.standard_normal(liking.shape)
    kin = np.asarray((noisy - noisy.min()) / (noisy.max() - noisy.min()), np.float64)
    return BanditShop(liking, score, new, kin, np.asarray(np.arange(1, PAGE + 1) ** -0.7, np.float64))


@dataclass(frozen=True, eq=False)
class Visits:
    """Who comes, how they read, and what is drawn."""

    shop: BanditShop
    reading: str
    rounds: int
    seed: int

    def shopper(self, number: int) -> int:
        return int(np.random.default_rng([self.seed, number]).integers(SHOPPERS))


def regret(visits: Visits, policy: str) -> Doubles:
    """(rounds,) cumulative: expected clicks of the best list for everybody, less those of the list that was shown. A
    policy that knows shoppers apart may go below 0."""
    shop, rng = visits.shop, np.random.default_rng([visits.seed, 1])
    beliefs, best = Beliefs(365.0, cascade=policy.startswith("cascade")), shop.best[:PAGE]
    out = np.zeros(visits.rounds)
    for number in range(visits.rounds):
        shopper, now = visits.shopper(number), 86_400.0 * number / VISITS_A_DAY
        page = _ordered(policy, shop, shopper, (beliefs, now), rng)
        out[number] = shop.expected(shopper, best, visits.reading) - shop.expected(shopper, page, visits.reading)
        _learn(beliefs, shop, page, (number, shopper, now), shop.clicks(shopper, page, visits.reading, rng))
    return np.cumsum(out)


def _ordered(
    policy: str, shop: BanditShop, shopper: int, held: tuple[Beliefs, float], rng: np.random.Generator
) -> Longs:
    """A whole page by one policy, without any ranking to lean on."""
    beliefs, now = held
    features = shop.features(shopper)
    arms = Arms(
        present=np.ones((1, ITEMS), np.bool_),
        features=features[None],
        sums=beliefs.sums(NAMES, now)[None],
        rate=beliefs.rate(now),
        seen=beliefs.total(now)[0],
        common=beliefs.common(now),
    )
    if policy in ("linear", "linucb"):
        mean, own = arms.linear()
        shared = features @ (arms.common.root @ rng.standard_normal(features.shape[1]))
        drawn_value = mean[0] + shared + own[0] * rng.standard_normal(ITEMS)
        value = drawn_value if policy == "linear" else (mean + ALPHA * arms.spread())[0]
    else:
        a, b = (each[0] for each in arms.beta())
        rate = a / (a + b)
        value = rate
        if policy in ("thompson", "cascade"):
            value = rng.beta(a, b)
        elif policy == "cascade_ucb":
            value = kl_bound(rate, a + b, float(np.log(max(arms.seen, 3.0))))
    page = np.argsort(-value + 1e-9 * rng.random(ITEMS), kind="stable")
    if policy == "epsilon":
        rest = rng.permutation(page[PAGE:])
        chance = np.flatnonzero(rng.random(PAGE) < EPSILON)
        page = page.copy()
        page[chance] = rest[: len(chance)]
    return np.asarray(page[:PAGE], np.int64)


NAMES = [f"i{number}" for number in range(ITEMS)]


def _learn(beliefs: Beliefs, shop: BanditShop, page: Longs, when: tuple[int, int, float], clicked: Flags) -> None:
    """Tell the beliefs of a page on which nothing was left to chance."""
    number, shopper, now = when
    features = shop.features(shopper)
    slots = tuple(
        Slot(at, 0, (NAMES[item],), (1.0,), (tuple(features[item]),)) for at, item in enumerate(page.tolist())
    )
    name = f"x-home-{number}"
    beliefs.fold(Decision(request_id=name, time=now, place="home", policy="", slots=slots, user=str(shopper)))
    for item in page[clicked].tolist():
        beliefs.want(name, NAMES[item])


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a dial did in one shop, means over its pages."""

    clicks: float
    """Expected clicks a page."""
    ndcg: float
    """NDCG@10 of the pages by true liking."""
    new_shown: float
    """Places of a page that hold new items."""
    new_clicks: float
    target_shown: float
    """Places of a page that hold the item which a click farm lifts."""
    learned: float
    """Share of pairs of new items that belief puts in the right order in the end; .5 knows nothing."""


@dataclass(frozen=True, slots=True)
class Farm:
    """Fake people who click one new item wherever they see it."""

    share: float = 0.0
    """Part of all people."""
    visits: int = 20
    """Visits of each a day, against a quarter of one of each honest shopper."""
    nameless: bool = False
    """The broken twin: every visit counts as another person."""


def shop_with(visits: Visits, dial: Explore, farm: Farm = Farm()) -> Outcome:
    """The shop with a dial: its own ranking, tried out inside the budget; only honest pages are counted."""
    shop, rng = visits.shop, np.random.default_rng([visits.seed, 2])
    beliefs = Beliefs(365.0, cascade=dial.policy.startswith("cascade"))
    target = int(np.flatnonzero(shop.new)[np.argmin(shop.liking.mean(axis=0)[shop.new])])
    fakes = int(np.ceil(farm.share * SHOPPERS)) if farm.share else 0
    rows: list[tuple[float, ...]] = []
    for number in range(visits.rounds):
        shopper, now = visits.shopper(number), 86_400.0 * number / VISITS_A_DAY
        page, decision = _tried(shop, shopper, dial, beliefs, (f"x-home-{number}", now))
        clicked = shop.clicks(shopper, page, visits.reading, rng)
        rows.append(_counted(shop, shopper, page, visits.reading, target))
        _tell(beliefs, decision, [NAMES[item] for item in page[clicked].tolist()])
        for fake in range(_due(fakes * farm.visits, number)):
            name = f"x-home-f{number}-{fake}"
            shown, faked = _tried(shop, shopper, dial, beliefs, (name, now))
            person = name if farm.nameless else f"fake{(number + fake) % fakes}"
            faked = None if faked is None else msgspec.structs.replace(faked, user=person)
            _tell(beliefs, faked, [NAMES[target]] if target in shown else [])
    mean = np.mean(rows, axis=0)
    end = 86_400.0 * visits.rounds / VISITS_A_DAY
    clicks, ndcg, new_shown, new_clicks, target_shown = (float(each) for each in mean)
    return Outcome(clicks, ndcg, new_shown, new_clicks, target_shown, _sorted_out(shop, beliefs, end))


def _due(a_day: int, number: int) -> int:
    """How many of `a_day` visits come with the honest visit of this number."""
    return (number + 1) * a_day // VISITS_A_DAY - number * a_day // VISITS_A_DAY


def _tried(
    shop: BanditShop, shopper: int, dial: Explore, beliefs: Beliefs, named: tuple[str, float]
) -> tuple[Longs, Decision | None]:
    """(the page, what was decided on it)."""
    name, now = named
    order = shop.ranking.astype(np.int32)
    features = shop.features(shopper)
    field = Field(
        rows=order,
        score=shop.score[order].astype(np.float32),
        fixed=np.zeros(ITEMS, np.bool_),
        k=PAGE,
        names=lambda rows: [NAMES[row] for row in rows.tolist()],
        features=lambda rows, _: features[rows],
    )
    found = trial(field, dial, beliefs, now)
    if found is None:
        return order[:PAGE].astype(np.int64), None
    shown = drawn(name, found.chance)
    slots = tuple(
        Slot(int(at), int(shown[slot]), found.items[slot], tuple(found.chance[slot, : len(found.items[slot])].tolist()),
             tuple(tuple(each) for each in found.features[slot, : len(found.items[slot])].tolist()))
        for slot, at in enumerate(found.positions.tolist())
    )  # fmt: skip
    decision = Decision(request_id=name, time=now, place="home", policy=dial.policy, slots=slots, user=str(shopper))
    return arranged(order, found, shown)[:PAGE].astype(np.int64), decision


def _tell(beliefs: Beliefs, decision: Decision | None, wanted: list[str]) -> None:
    if decision is not None:
        beliefs.fold(decision)
        for item in wanted:
            beliefs.want(decision.request_id, item)


def _counted(shop: BanditShop, shopper: int, page: Longs, reading: str, target: int) -> tuple[float, ...]:
    liking = shop.liking[shopper]
    new = shop.new[page]
    return (
        shop.expected(shopper, page, reading),
        _ndcg(liking, page),
        float(new.sum()),
        float((shop.examination * liking[page] * new).sum()),
        float((page == target).sum()),
    )


def _ndcg(gain: Doubles, page: Longs) -> float:
    discount = 1 / np.log2(np.arange(2, PAGE + 2))
    return float((gain[page] * discount).sum() / (np.sort(gain)[::-1][:PAGE] * discount).sum())


def _sorted_out(shop: BanditShop, beliefs: Beliefs, now: float) -> float:
    """Of all pairs of new items the share that belief puts in the right order, ties half: .5 knows nothing."""
    new = np.flatnonzero(shop.new)
    sums = beliefs.sums([NAMES[item] for item in new.tolist()], now)
    rate = (sums[:, 1] + 10 * beliefs.rate(now)) / (sums[:, 0] + 10)
    liking = shop.liking[:, new].mean(axis=0)
    one, other = np.triu_indices(len(new), 1)
    agree = np.sign(rate[one] - rate[other]) * np.sign(liking[one] - liking[other])
    return float((agree.mean() + 1) / 2)
