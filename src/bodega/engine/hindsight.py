"""What would another dial have earned on the pages that were tried? A shop's own log, judged by its own chances.

The log is walked in order of time. Each page is first asked what the other dial would have shown in its slots, with
what could be believed *before* it, and only then told what came of it; so nothing is judged on what it learned from.
The other dial chooses among the same arms in the same slots; its budget of score is not applied (`share` is, as it is).
People stay together in every interval. Cost: .5 ms a page; the newest 50,000 pages are read.
Not for: arms that no page ever had; `overlap` says how much the log can tell.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bodega.engine.trials import DecisionStore
from bodega.errors import NoEvidence
from bodega.evaluation.off_policy import Ways
from bodega.evaluation.off_policy_lists import USUAL, ListValue, LoggedLists, evaluate_lists
from bodega.evaluation.reward_model import crossed
from bodega.ranking.explore import FEATURES, Arms, Beliefs, chances, examination
from bodega.ranking.explore.slots import mixed
from bodega.schema import Explore
from bodega.schema.arrays import Doubles, Flags, Longs
from bodega.schema.trials import Decision, Slot

PAGES = 50_000


@dataclass(frozen=True, slots=True)
class Hindsight:
    """What another dial would have earned at one place."""

    place: str
    pages: int
    wanted: int
    """Items that were wanted on them, in slots that chance decided."""
    reported: int
    """Pages of which any item was reported as seen."""
    since: float
    until: float
    policies: tuple[str, ...]
    """Which policies decided the log."""
    value: ListValue


@dataclass(frozen=True, slots=True)
class Asked:
    """Which pages, and what of them."""

    place: str
    dial: Explore
    """`policy = "off"`: what the ranking alone would have earned."""
    since: float = 0.0
    until: float | None = None
    seen_only: bool = False
    """Only slots whose item was reported as seen (impressions)."""
    ways: Ways = USUAL


def hindsight(store: DecisionStore, asked: Asked, rng: np.random.Generator) -> Hindsight:
    """What the dial would have earned a page. Raises NoEvidence where the log says too little."""
    pages = deque((page for page in store.scan(asked.since, asked.until) if page.place == asked.place), PAGES)
    if not pages:
        raise NoEvidence(
            "nothing was tried out here",
            where=f"place {asked.place!r}",
            allowed="a place whose pages were decided by chance",
            got="no page",
            next=f'set policy under [explore.{asked.place}] in bodega.toml, e.g. policy = "thompson"',
        )
    wanted, seen = store.joined(pages[0].time, None)
    kept = list(pages)
    judged = _columns(kept, wanted, seen, asked)
    return Hindsight(
        place=asked.place,
        pages=len(kept),
        wanted=int(judged.reward.sum()),
        reported=len({request for request, _ in seen} & {page.request_id for page in kept}),
        since=kept[0].time,
        until=kept[-1].time,
        policies=tuple(sorted({page.policy for page in kept})),
        value=evaluate_lists(judged, rng, asked.ways),
    )


def replayed(pages: Iterable[Decision], wanted: set[tuple[str, str]], dial: Explore) -> list[list[Doubles]]:
    """For each page and slot the chances of its arms under another dial that learns as it goes."""
    beliefs = Beliefs(dial.half_life_days, cascade=dial.policy.startswith("cascade"))
    out = []
    for page in pages:
        out.append([_chances(slot, beliefs, dial, page.time) for slot in page.slots])
        if not dial.off:
            beliefs.fold(page)
            for item in {slot.item for slot in page.slots if (page.request_id, slot.item) in wanted}:
                beliefs.want(page.request_id, item)
    return out


def _chances(slot: Slot, beliefs: Beliefs, dial: Explore, now: float) -> Doubles:
    """The chance of each arm of a slot: (n,)."""
    if dial.off:
        return np.asarray(np.eye(1, len(slot.items))[0], np.float64)
    features = np.zeros((1, len(slot.items), len(FEATURES)))
    for arm, own in enumerate(slot.features):
        features[0, arm, : len(own)] = own[: len(FEATURES)]
    arms = Arms(
        present=np.ones((1, len(slot.items)), np.bool_),
        features=features,
        sums=beliefs.sums(slot.items, now)[None],
        rate=beliefs.rate(now),
        seen=beliefs.total(now)[0],
        common=beliefs.common(now),
    )
    return np.asarray(mixed(chances(dial.policy, arms, dial.floor), dial.share)[0], np.float64)


def _columns(
    pages: Sequence[Decision], wanted: set[tuple[str, str]], seen: set[tuple[str, str]], asked: Asked
) -> LoggedLists:
    """The pages as columns."""
    width = max(len(page.slots) for page in pages)
    shape = (len(pages), width)
    present, reward, chance, target = np.zeros(shape, np.bool_), np.zeros(shape), np.ones(shape), np.zeros(shape)
    others = replayed(pages, wanted, asked.dial)
    for number, (page, theirs) in enumerate(zip(pages, others, strict=True)):
        for place, (slot, other) in enumerate(zip(page.slots, theirs, strict=True)):
            key = (page.request_id, slot.item)
            if asked.seen_only and key not in seen and key not in wanted:
                continue
            present[number, place] = True
            reward[number, place] = float(key in wanted)
            chance[number, place] = slot.chance
            target[number, place] = other[slot.shown]
    people = {name: code for code, name in enumerate(dict.fromkeys(page.person or page.request_id for page in pages))}
    cluster = np.array([people[page.person or page.request_id] for page in pages], np.int64)
    modelled, expected = _modelled(pages, others, present, reward, cluster)
    return LoggedLists(present, reward, chance, target, cluster, modelled, expected)


def _modelled(
    pages: Sequence[Decision], others: list[list[Doubles]], present: Flags, reward: Doubles, cluster: Longs
) -> tuple[Doubles, Doubles]:
    """A cross-fitted reward model on what was known of the arms, seen by place: (its value of what was shown, its mean
    over what the other dial would show), (n, L) each."""
    there = np.argwhere(present)
    causes = np.array([_causes(pages[n].slots[j], pages[n].slots[j].shown) for n, j in there])
    coefficients, fold = crossed(causes, reward[present], cluster[there[:, 0]])
    modelled, expected = np.zeros(present.shape), np.zeros(present.shape)
    for (n, j), cause, own in zip(there, causes, coefficients[fold], strict=True):
        slot = pages[n].slots[j]
        modelled[n, j] = cause @ own
        every = np.array([_causes(slot, arm) for arm in range(len(slot.items))]) @ own
        expected[n, j] = others[n][j] @ every
    return modelled, expected


def _causes(slot: Slot, arm: int) -> Doubles:
    """What the reward model sees of an arm in its slot: seen by place, times each feature, and whether it is the
    ranking's own."""
    own = np.zeros(len(FEATURES) + 1)
    known = slot.features[arm][: len(FEATURES)] if arm < len(slot.features) else ()
    own[: len(known)] = known
    own[-1] = float(arm == 0)
    return np.asarray(own * examination([slot.position])[0], np.float64)
