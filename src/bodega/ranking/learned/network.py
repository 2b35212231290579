"""Will it be clicked, put into the cart, bought, looked at for long, liked? One network for all of these, on features.

    columns of features --------------------------+
    candidate's vector x newest items' vectors ---+--> experts and gates (PLE) -> a tower a task -> calibrated chances
                                                                                  -> explicit values -> one score

Tasks share what they have in common and keep what they have not (experts of each task and shared ones, mixed by a gate
a task); what happens after a click is P(click) x P(it | click), so that a purchase, which is rare, learns from clicks,
which are not. Attention asks which of the newest items speak for this candidate. What stood on top was clicked because
it stood there: the chance that a place is looked at (`position`) is taken out while learning. The score is the
logarithm of the sum of chances, each times what it is worth to the shop.

Answers: any list.  Needs: a log with a few hundred lists or cases (extra `neural` to learn; numpy serves).
Good for: shops that log impressions and several actions; probabilities.  Not for: one task on few cases: trees or the
weighted sum are as good or better (docs/decisions/0025-multi-task-network.md).
Cost: 100,000 examples x 60 columns about 3 CPU s an epoch; 500 candidates .9 ms, with attention 1.1.
Relations: the columns are those of every ranker here (`bodega.features`, `opinions`); `tasks` makes the examples.
Papers: Tang et al. 2020 (PLE), Ma et al. 2018 (MMoE; ESMM), Zhou et al. 2018 (DIN), Sundararajan et al. 2017
(integrated gradients).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Literal

import msgspec
import numpy as np

from bodega.errors import BadRequest, MissingExtra
from bodega.protocols import Training
from bodega.ranking.learned._net_calibration import Curve, calibrate
from bodega.ranking.learned._net_model import Network, NetworkReport
from bodega.ranking.learned._net_shape import Columns, Forward, Shape, sigmoid
from bodega.ranking.learned.lessons import Lessons
from bodega.ranking.learned.position import Examination, examination_of
from bodega.ranking.learned.softmax import Softmax
from bodega.ranking.learned.tasks import FEWEST, RECENT, TASKS, Examples, newest_of
from bodega.retrieval._neural.checkpoint import key_of
from bodega.schema.arrays import Floats

__all__ = [
    "Given",
    "Network",
    "NetworkLearner",
    "NetworkOptions",
    "NetworkReport",
    "examples_of_lessons",
    "fit_network",
]

MOST = 20_000
"""Cases that a network learns from."""

SUM = "sum.score"
"""The column of the fusion's score."""


class NetworkOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Chosen on validation (docs/decisions/0025-multi-task-network.md)."""

    experts: Literal["ple", "mmoe", "shared"] = "ple"
    """`ple`: own and shared experts on two levels; `mmoe`: four shared ones; `shared`: one wide bottom for all."""
    attention: bool = True
    """From the candidate to the newest items, where there are item vectors."""
    width: int = 32
    """Of one expert."""
    tower: int = 16
    keys: int = 8
    """Width of the attention."""
    places: Literal["examination", "weights", "tower", "naive"] = "examination"
    """How the place in the list is taken out of clicks (see `_net_torch`)."""
    calibration: Literal["auto", "platt", "isotonic", "none"] = "auto"
    epochs: int = 12
    patience: int = 3
    """Epochs without a better loss on the shoppers held out, after which it ends; a quarter of many epochs."""
    steps: int = 800
    """Few examples get more epochs, at most 60, until there are so many steps."""
    batch: int = 1_024
    rate: float = 1e-3
    decay: float = 1e-3
    dropout: float = 0.1
    listwise: float = 1.0
    """Weight of the order within a list against the probabilities."""
    negatives: int = 64
    """Of a longer list so many others are drawn a step; 0: all."""
    held: float = 0.15
    """Share of the shoppers who stop the training and calibrate it."""
    seed: int = 7


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """What is known beside the examples."""

    vectors: Floats | None = None
    """(n_items, d) item vectors for the attention, of any length; None: no attention."""
    values: Mapping[str, float] = field(default_factory=dict)
    """{task: what one of it is worth}; empty: a purchase 1, or what comes nearest to it."""
    examination: Examination | None = None
    """Which places are looked at; None: estimated from the examples."""
    line: Mapping[str, float] = field(default_factory=dict)
    """{column: weight}: the order that every task begins with: what is good already, e.g. the fusion's sum."""


@dataclass(frozen=True)
class NetworkLearner:
    """The network among the learners that a ranker is chosen from (`ranking.learned.fitting`): one task, a purchase.

    It begins at the fusion's sum, and learns from the first `width` candidates of the cases that have something right
    there. (What is right further down must not be added alone: then low places would mean right.)
    """

    options: NetworkOptions = field(default_factory=NetworkOptions)
    vectors: Floats | None = None
    """(n_items, d) item vectors for the attention; None: no attention."""
    training: Training = field(default_factory=Training)
    width: int = 60

    @property
    def kind(self) -> str:
        return Network.kind

    def fit(self, lessons: Lessons) -> dict[int, Network]:
        """One network. Raises MissingExtra without torch."""
        told = lessons.narrowed(self.width).sample(MOST, self.width)
        line = {SUM: Softmax.of(told).temperature(told.sum) if len(told) else 0.0}
        examples = examples_of_lessons(told)
        return {1: fit_network(examples, self.options, Given(vectors=self.vectors, line=line), self.training)}


def examples_of_lessons(lessons: Lessons) -> Examples:
    """A ranker's lessons as examples of one task: what was right in a case counts as bought."""
    recent, actions = newest_of(lessons.contexts)
    labels = np.full((len(lessons.items), len(TASKS)), np.nan, np.float32)
    labels[:, TASKS.index("purchase")] = lessons.relevant
    alone = -1 - np.arange(len(lessons))
    return Examples(
        columns=lessons.recipe.columns,
        tasks=TASKS,
        values=lessons.values,
        labels=labels,
        item=lessons.items,
        position=np.full(len(lessons.items), -1, np.int32),
        starts=lessons.starts,
        recent=recent,
        actions=actions,
        user=np.where(lessons.user >= 0, lessons.user, alone).astype(np.int32),
        query=np.full(len(lessons), -1, np.int32),
        moment=np.array([context.now for context in lessons.contexts], np.float64),
    ).only(("purchase",))


def fit_network(
    examples: Examples,
    options: NetworkOptions | None = None,
    given: Given | None = None,
    training: Training | None = None,
) -> Network:
    """Learn from examples. Raises MissingExtra without torch, BadRequest where no task is told."""
    if find_spec("torch") is None:
        raise MissingExtra.named("neural", needed_for="learning the network ranker")
    from bodega.ranking.learned._net_torch import Lists, Recipe, learn

    options, given, training = options or NetworkOptions(), given or Given(), training or Training()
    vectors, line = given.vectors, given.line
    examples = _usable(examples)
    most, rest = _parts(examples, options)
    unit = _unit(vectors) if options.attention and vectors is not None and len(vectors) else None
    straight = [examples.columns.index(name) for name in line]
    columns = Columns.of(most.values, straight)
    shape = shape_of(examples, options, columns, 0 if unit is None else unit.shape[1])
    looked = given.examination or (
        _examination(examples) if options.places in ("examination", "weights") else Examination.flat()
    )
    lists = Lists(most, rest, columns, unit, (looked.at(most.position), looked.at(rest.position)))
    epochs = max(options.epochs, min(60, -(-options.steps * options.batch // max(len(most), 1))))
    recipe = Recipe(
        epochs=epochs,
        batch=options.batch,
        rate=options.rate,
        decay=options.decay,
        dropout=options.dropout,
        listwise=options.listwise,
        negatives=options.negatives,
        places=options.places,
        patience=max(options.patience, epochs // 4),
        seed=options.seed,
        key=key_of(options, most.values, most.labels, most.item, most.recent),
    )
    held, losses = learn(shape, recipe, lists, training, _lines(shape, columns, line))
    forward = Forward(shape, held, columns)
    plain = Network(
        forward,
        tuple(Curve.identity() for _ in shape.tasks),
        np.zeros((0, 0), np.float32) if unit is None else unit,
        dict(given.values or {_dearest(shape.tasks): 1.0}),
    )
    return _calibrated(plain, examples, rest, looked, options, losses)


def shape_of(examples: Examples, options: NetworkOptions, columns: Columns, dimensions: int) -> Shape:
    """The network that these examples and options ask for; the kinds of experts have about equally many numbers."""
    kinds = {
        "ple": {"levels": 2, "own": 1, "shared": 2, "width": options.width},
        "mmoe": {"levels": 1, "own": 0, "shared": 4, "width": options.width},
        "shared": {"levels": 1, "own": 0, "shared": 1, "width": 4 * options.width},
    }
    return Shape(
        columns=examples.columns,
        tasks=examples.tasks,
        tower=options.tower,
        keys=options.keys if dimensions else 0,
        recent=RECENT,
        dimensions=dimensions,
        flagged=tuple(np.flatnonzero(columns.flagged).tolist()),
        chained=tuple(task for task in examples.tasks if examples.tasks[0] == "click" and task in ("cart", "purchase")),
        **kinds[options.experts],
    )


def _lines(shape: Shape, columns: Columns, line: Mapping[str, float]) -> dict[str, Floats]:
    """Each task's plain weighted sum, so that it begins with `line`."""
    begins = np.zeros(shape.inputs, np.float32)
    for name, weight in line.items():
        column = shape.columns.index(name)
        begins[column] = weight * columns.deviation[column]
    return {f"t{task}.line": begins.copy() for task in range(len(shape.tasks))} if line else {}


def _usable(examples: Examples) -> Examples:
    told = examples.told(FEWEST)
    if not told.tasks or not len(told):
        raise BadRequest(
            "the log tells of no task that could be learned",
            where="fit_network(examples)",
            allowed="examples with at least one label above 0 and one of 0",
            got=f"{len(examples):,} examples",
            next="log impressions and what came of them, or learn from cases",
        )
    return told


def _parts(examples: Examples, options: NetworkOptions) -> tuple[Examples, Examples]:
    """(to learn from, to stop and calibrate by); the same where there are too few shoppers to part."""
    if len(np.unique(examples.user)) < 10:
        return examples, examples
    most, rest = examples.held_out(options.held, options.seed)
    fine = all((np.nan_to_num(part.labels) > 0).any(axis=0).all() for part in (most, rest))
    return (most, rest) if fine else (examples, examples)


def _examination(examples: Examples) -> Examination:
    if "click" not in examples.tasks:
        return Examination.flat()
    clicked = examples.labels[:, examples.tasks.index("click")] > 0
    return examination_of(examples.position, clicked, examples.item)


def _unit(vectors: Floats) -> Floats:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Floats = (vectors / np.maximum(length, 1e-12)).astype(np.float32)
    return unit


def _dearest(tasks: tuple[str, ...]) -> str:
    """The yes-or-no task nearest to a purchase."""
    return max(tasks, key=lambda task: ("rating", "dwell", "click", "cart", "purchase").index(task))


def _calibrated(
    plain: Network,
    examples: Examples,
    rest: Examples,
    looked: Examination,
    options: NetworkOptions,
    losses: tuple[float, ...],
) -> Network:
    raw = np.clip(plain.likely(rest, calibrated=False), 1e-9, 1 - 1e-7)
    odds = np.log(raw / (1 - raw))
    chance = looked.at(rest.position)
    ones = np.ones_like(chance)
    curves, how, before, after = [], {}, {}, {}
    for task, name in enumerate(plain.tasks):
        label = rest.labels[:, task]
        share = ones if name in ("dwell", "rating") or options.places == "naive" else chance
        curve, how[name] = calibrate(odds[:, task], label, share, options.calibration)
        curves.append(curve)
        known = np.isfinite(label)
        before[name] = _error((raw[:, task] * share)[known], label[known])
        after[name] = _error((sigmoid(curve.apply(odds[:, task])) * share)[known], label[known])
    report = NetworkReport(
        examples=len(examples),
        lists=examples.n_lists,
        labels={name: int((examples.labels[:, task] > 0).sum()) for task, name in enumerate(plain.tasks)},
        losses=tuple(round(loss, 6) for loss in losses),
        calibration=how,
        before={name: round(value, 6) for name, value in before.items()},
        after={name: round(value, 6) for name, value in after.items()},
        examination=tuple(round(float(one), 4) for one in looked.chance) if looked.estimated else (),
    )
    return Network(plain.forward, tuple(curves), plain.vectors, plain.values, report)


def _error(chance: Floats, label: Floats) -> float:
    """Calibration error in 10 bins; a label between 0 and 1 (dwell, stars) is that part of a success."""
    bins = np.minimum((chance * 10).astype(np.int64), 9)
    gap = np.bincount(bins, weights=chance.astype(np.float64) - label, minlength=10)
    return float(np.abs(gap).sum() / max(len(label), 1))
