"""Open Bandit data: two policies ran side by side on one page of a fashion shop, each logged its own chances.

So one log can be asked what the other policy earns, and the other log knows. The shop's three places are judged as
three slots that share a policy each. What a Bernoulli Thompson sampler would show is not written down anywhere; how
often its own log shows each item in each place is, and that is its mean policy (no reward of that log is looked at).
Not for: claims about this engine's own policies. Data: Saito et al. 2021, "Open Bandit Dataset and Pipeline".
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bodega.errors import BadRequest
from bodega.evaluation.off_policy import Logged
from bodega.evaluation.reward_model import crossed, one_hot
from bodega.schema.arrays import Doubles, Longs

ITEMS, PLACES = 34, 3
POLICIES = ("random", "bts")


@dataclass(frozen=True, eq=False)
class BanditLog:
    """n impressions of one policy: (n,) each."""

    item: Longs
    place: Longs
    click: Doubles
    propensity: Doubles
    person: Longs
    """Code of the four hashed facts that are known of a person."""
    group: Longs
    """Code of the first of them alone, and of the second."""
    second: Longs

    def __len__(self) -> int:
        return len(self.item)


def read(folder: Path) -> dict[str, BanditLog]:
    """{policy: its log}. Raises BadRequest where the files are not there."""
    files = {name: folder / f"{name}_men.csv.gz" for name in POLICIES}
    missing = [str(file) for file in files.values() if not file.is_file()]
    if missing:
        raise BadRequest(
            "the Open Bandit files are not there",
            where=str(folder),
            allowed="a folder with random_men.csv.gz and bts_men.csv.gz",
            got=f"no {missing[0]}",
            next="name the folder with --data",
        )
    return {name: _read(file) for name, file in files.items()}


def _read(file: Path) -> BanditLog:
    with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    facts = [tuple(row[f"user_feature_{number}"] for number in range(4)) for row in rows]
    return BanditLog(
        item=np.array([int(row["item_id"]) for row in rows], np.int64),
        place=np.array([int(row["position"]) - 1 for row in rows], np.int64),
        click=np.array([float(row["click"]) for row in rows]),
        propensity=np.array([float(row["propensity_score"]) for row in rows]),
        person=_coded([" ".join(each) for each in facts]),
        group=_coded([each[0] for each in facts]),
        second=_coded([each[1] for each in facts]),
    )


def _coded(values: list[str]) -> Longs:
    return np.asarray(np.unique(np.array(values), return_inverse=True)[1].ravel(), np.int64)


def shown_by(log: BanditLog) -> Doubles:
    """(PLACES, ITEMS): how often each item stands in each place; rows sum to 1, none is 0."""
    counts = np.full((PLACES, ITEMS), 0.5)
    np.add.at(counts, (log.place, log.item), 1.0)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def asked(log: BanditLog, target: Doubles) -> Logged:
    """The log as a question about a policy (PLACES, ITEMS), with a cross-fitted reward model.

    Impressions are independent of each other as far as the data tells (it names no visits), each its own cluster.
    """
    n = len(log)
    sizes = (ITEMS, PLACES, int(log.group.max()) + 1, int(log.second.max()) + 1)
    causes = one_hot([log.item, log.place, log.group, log.second], sizes)
    coefficients, fold = crossed(causes, log.click, np.arange(n))
    own = coefficients[fold]
    items = own[:, 1 : 1 + ITEMS]
    rest = np.asarray((causes.multiply(own)).sum(axis=1)).ravel() - items[np.arange(n), log.item]
    policy = target[log.place]
    return Logged(
        reward=log.click,
        propensity=log.propensity,
        target=policy[np.arange(n), log.item],
        cluster=np.arange(n),
        modelled=rest + items[np.arange(n), log.item],
        expected=rest + (policy * items).sum(axis=1),
    )


def truth_of(log: BanditLog, rng: np.random.Generator, resamples: int = 1_000) -> Mapping[str, float]:
    """What the policy that wrote this log earned an impression, with its 95 % interval."""
    from bodega.evaluation.significance import bootstrap

    low, high = np.quantile(bootstrap(log.click[:, None], rng, resamples)[:, 0], [0.025, 0.975])
    return {"value": float(log.click.mean()), "low": float(low), "high": float(high)}
