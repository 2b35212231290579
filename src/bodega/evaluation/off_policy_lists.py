"""What would another policy have earned with whole lists? The same question as `off_policy`, slot by slot.

n pages of L slots; the arms of a slot were drawn independently of the other slots. w_j is the weight of slot j.

    slotwise     sum of w_j r_j: right where a click in a slot only depends on what stands in it (the item-position
                 model; Li et al. 2018). Narrow
    slotwise_dr  the same with a reward model
    cascade      sum of w_1..w_j r_j: right where it also depends on what stands above, never on what stands below, as
                 for people who read from the top (RIPS; McInerney et al. 2020)
    cascade_dr   the same with a reward model (Kiyohara et al. 2022)
    additive     (1 - L + sum of w_j) x the page's reward: right where the page's reward is a sum over slots, whichever
                 slot it is credited to (pseudoinverse for independent slots; Swaminathan et al. 2017)
    page         product of all w_j x the page's reward: right always, and soon too wide to say anything

Each has an effective sample size of its own; those below 100 are left out and named in `refused`, and if none is left,
NoEvidence is raised. Cost: .2 s for 10,000 pages. Not for: slots that were not drawn independently.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bodega.evaluation.off_policy import Estimate, Logged, Overlap, Ways, check, effective, overlap, refuse, summarised
from bodega.schema.arrays import Doubles, Flags, Longs

USUAL = Ways()


@dataclass(frozen=True, eq=False)
class LoggedLists:
    """n pages of at most L slots. Arrays are (n, L) but `cluster` (n,); what is not `present` is not looked at."""

    present: Flags
    reward: Doubles
    propensity: Doubles
    target: Doubles
    cluster: Longs
    modelled: Doubles | None = None
    """A reward model's value of what was shown, from a fit that did not see this page's cluster."""
    expected: Doubles | None = None
    """Its mean over what the other policy would show in this slot."""


@dataclass(frozen=True, slots=True)
class ListValue:
    """What another policy would have earned a page, by each estimator that the log allows."""

    overlap: Overlap
    """Of the slots."""
    naive: Estimate
    """What the logging policy earned a page."""
    estimates: dict[str, Estimate]
    effective: dict[str, float]
    refused: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Estimate:
        return self.estimates[name]


def evaluate_lists(logged: LoggedLists, rng: np.random.Generator, ways: Ways = USUAL) -> ListValue:
    """The other policy's value a page. Raises NoEvidence where the log allows no estimator."""
    found = overlap(_slots(logged), ways)
    refuse(found, ways)
    weight = np.where(logged.present, logged.target / np.where(logged.present, logged.propensity, 1.0), 1.0)
    if ways.clip > 0:
        weight = np.minimum(weight, ways.clip)
    above = np.asarray(np.cumprod(weight, axis=1), np.float64)
    reward = np.where(logged.present, logged.reward, 0.0)
    slots, page = logged.present.sum(axis=1), reward.sum(axis=1)
    additive = np.asarray(1.0 - slots + np.where(logged.present, weight, 0.0).sum(axis=1), np.float64)
    terms = {
        "naive": page,
        "slotwise": (weight * reward).sum(axis=1),
        "cascade": (above * reward).sum(axis=1),
        "additive": additive * page,
        "page": above[:, -1] * page,
    }
    sizes = {
        "slotwise": found.effective,
        "cascade": _least(above, logged.present),
        "additive": effective(np.abs(additive)),
        "page": effective(above[:, -1]),
    }
    terms |= _with_model(logged, weight, above, reward)
    sizes |= {f"{name}_dr": sizes[name] for name in ("slotwise", "cascade") if f"{name}_dr" in terms}
    refused = tuple(name for name, size in sizes.items() if size < ways.enough)
    estimates = summarised({k: v for k, v in terms.items() if k not in refused}, logged.cluster, rng, ways)
    naive = estimates.pop("naive")
    return ListValue(found, naive, estimates, sizes, refused)


def _with_model(logged: LoggedLists, weight: Doubles, above: Doubles, reward: Doubles) -> dict[str, Doubles]:
    """The doubly robust terms, where there is a model."""
    if logged.modelled is None or logged.expected is None:
        return {}
    modelled = np.where(logged.present, logged.modelled, 0.0)
    expected = np.where(logged.present, logged.expected, 0.0)
    later = np.cumsum(expected[:, ::-1], axis=1)[:, ::-1] - expected  # what the slots below are expected to earn
    before = np.column_stack([np.ones(len(above)), above[:, :-1]])
    cascade = above * (reward - modelled - later) + before * (expected + later)
    # A slot that is not there has weight 1, reward 0 and the same expectation on both sides: it adds nothing.
    return {
        "slotwise_dr": (expected + weight * (reward - modelled)).sum(axis=1),
        "cascade_dr": cascade.sum(axis=1),
    }


def _least(above: Doubles, present: Flags) -> float:
    """The smallest effective sample size of any slot's weights."""
    columns = [above[present[:, slot], slot] for slot in range(above.shape[1]) if present[:, slot].any()]
    return min(effective(column) for column in columns)


def _slots(logged: LoggedLists) -> Logged:
    """Every slot as a decision of its own; people (and pages) stay together."""
    there = logged.present
    cluster = np.repeat(logged.cluster, there.sum(axis=1))
    flat = Logged(logged.reward[there], logged.propensity[there], logged.target[there], cluster)
    check(flat)
    return flat
