"""Who sees which arm? A keyed digest of the unit decides: nothing is stored, every process gives the same answer.

Two digests are taken, of the unit under the layer's name (does it take part?) and under the experiment's (which arm?):
so experiments of different layers are independent, and one that ends leaves no trace in the next. In a switchback the
unit of the second digest is the block of time. Cost: 2 us. Not for: remembering who saw what (see `Exposure`), nor for
who is one shopper: that is `events.identity`'s; `sticky` says what to do when a guest turns out to be somebody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b

from bodega.schema.experiments import BUCKETS, Arm, Experiment


def bucket(layer: str, unit: str) -> int:
    """The bucket of a unit in a layer, 0 to 9,999."""
    return _digest(f"layer\0{layer}\0{unit}") % BUCKETS


def assigned(experiment: Experiment, unit: str, now: float = 0.0) -> Arm | None:
    """The arm of a unit (of this moment, in a switchback); None where it takes no part.

    >>> from bodega.schema.experiments import Arm, Experiment
    >>> test = Experiment(id="t", arms=(Arm(name="a"), Arm(name="b")))
    >>> assigned(test, "u1") == assigned(test, "u1")
    True
    """
    if not unit or not experiment.first <= bucket(experiment.layer, unit) < experiment.last:
        return None
    decides = unit if experiment.by == "shopper" else f"block\0{block_of(experiment, now)}"
    return _chosen(experiment, _digest(f"arm\0{experiment.id}\0{decides}") / 2**64)


def block_of(experiment: Experiment, now: float) -> int:
    """The number of the block of time that `now` (seconds) lies in."""
    return int(now // (60 * experiment.block_minutes))


def sticky(ids: Iterable[str], seen: Mapping[str, tuple[float, str]]) -> str:
    """The unit that decides for a shopper who has several ids (a guest who signed in): the one exposed first.

    `ids`: all of them, the account first. `seen`: {unit: (time of its first exposure, arm)} of one experiment.
    """
    several = list(ids)
    exposed = sorted((seen[unit][0], unit) for unit in several if unit in seen)
    return exposed[0][1] if exposed else several[0]


def _chosen(experiment: Experiment, point: float) -> Arm:
    total, reached = sum(arm.weight for arm in experiment.arms), 0.0
    for arm in experiment.arms:
        reached += arm.weight / total
        if point < reached:
            return arm
    return experiment.arms[-1]


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
