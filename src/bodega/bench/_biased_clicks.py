"""Clicks that lie, and the truth behind them: lists in an old rule's order, clicked as a generated shop's truth says.

The old rule puts what it likes on top, and what it likes has nothing to do with what shoppers like. So items of the
rule are clicked more, only because they stand higher; a model that believes clicks learns the rule. The same shoppers
and lists without examination (everything is looked at) show what could be learned at best.
Not for: claims about real shops; the model of clicks here is the one that `position` assumes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bodega.ranking.learned.position import Examination, examination_of
from bodega.ranking.learned.tasks import RECENT, Examples
from bodega.schema.arrays import Doubles, Floats

COLUMNS = ("taste", "rule")
CLICK_AT = 1.5
"""Affinity at which an item that is looked at is clicked every second time, as in the generated shop."""


@dataclass(frozen=True, slots=True, eq=False)
class Minds:
    """What is true of shoppers (see `bodega.testing.world.Truth`)."""

    affinity: Floats
    """(n_shoppers, n_items) how much each likes each item."""
    examination: Doubles
    """(places,) chance that each place of a list is looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class BiasedClicks:
    """`biased` is what the shop logged, `fair` the same lists had everything been looked at."""

    biased: Examples
    fair: Examples
    test: Examples
    """Lists of other draws, to be ranked."""
    attraction: Doubles
    """(rows of test,) the true chance of a click on an item that is looked at."""
    truth: Doubles
    """(8,) the true examination of the places."""

    @classmethod
    def of(cls, minds: Minds, lists: int = 4_000, seed: int = 7, wise: float = 0.0) -> BiasedClicks:
        """`lists` shown lists of eight, and half as many to be ranked.

        `wise`: correlation of the rule with how much an item is liked on average, 0 (none) to 1. A wise rule also has
        better items on top, so clicks by place fall faster than attention does.
        """
        rng = np.random.default_rng([seed, 61])
        liked_by_all = minds.affinity.mean(axis=0)
        liked_by_all = (liked_by_all - liked_by_all.mean()) / liked_by_all.std()
        noise = rng.standard_normal(len(liked_by_all))
        rule = (wise * liked_by_all + np.sqrt(1 - wise**2) * noise).astype(np.float32)
        looked = minds.examination
        shown, liked = _lists(minds, rule, lists, rng)
        drawn = rng.random(len(liked))
        biased = (drawn < liked * looked[shown.position]).astype(np.float32)
        fair = (drawn < liked).astype(np.float32)
        test, attraction = _lists(minds, rule, lists // 2, rng)
        return cls(
            replace(shown, labels=biased[:, None]), replace(shown, labels=fair[:, None]), test, attraction, looked
        )

    def examination(self) -> Examination:
        """As the log of the shop tells it."""
        clicked = self.biased.labels[:, 0] > 0
        return examination_of(self.biased.position, clicked, self.biased.item)

    def by_place(self) -> Doubles:
        """What a naive look takes for examination: clicks of each place over those of the first."""
        clicks = np.bincount(self.biased.position, weights=self.biased.labels[:, 0])
        return np.asarray(clicks / clicks[0])

    def ndcg(self, score: Floats) -> Doubles:
        """Of each test list, with the true attraction as gain: (n_lists,)."""
        width = int(self.test.starts[1])
        gain, own = self.attraction.reshape(-1, width), score.reshape(-1, width)
        discount = 1 / np.log2(np.arange(2, width + 2))
        got = np.take_along_axis(gain, np.argsort(-own, axis=1, kind="stable"), axis=1) @ discount
        return np.asarray(got / (-np.sort(-gain, axis=1) @ discount))


def _lists(minds: Minds, rule: Floats, lists: int, rng: np.random.Generator) -> tuple[Examples, Doubles]:
    """(lists in the order of the rule, without labels; the true attraction of each row)."""
    width = len(minds.examination)
    user = rng.integers(0, len(minds.affinity), lists).astype(np.int32)
    item = np.stack([rng.permutation(len(rule))[:width] for _ in range(lists)]).astype(np.int32)
    order = np.argsort(-(rule[item] + 0.3 * rng.standard_normal(item.shape)), axis=1, kind="stable")
    item = np.take_along_axis(item, order, axis=1)
    affinity = minds.affinity[user[:, None], item].ravel()
    hint = affinity + rng.standard_normal(affinity.shape).astype(np.float32)
    examples = Examples(
        columns=COLUMNS,
        tasks=("click",),
        values=np.column_stack([hint, rule[item.ravel()]]).astype(np.float32),
        labels=np.full((item.size, 1), np.nan, np.float32),
        item=item.ravel(),
        position=np.tile(np.arange(width, dtype=np.int32), lists),
        starts=np.arange(0, item.size + 1, width),
        recent=np.full((lists, RECENT), -1, np.int32),
        actions=np.zeros((lists, RECENT), np.int8),
        user=user,
        query=np.full(lists, -1, np.int32),
        moment=np.zeros(lists),
    )
    return examples, 1 / (1 + np.exp(CLICK_AT - affinity.astype(np.float64)))
