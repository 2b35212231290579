"""How is a ranking network trained? The sums of `_net_shape` in torch, their losses, and the examples in batches.

    loss = sum over tasks of cross-entropy / entropy of its base rate  +  listwise x softmax over each list

Cross-entropy makes probabilities, the softmax over a list makes order; divided by its base entropy every task starts at
1, so that rare purchases count as much as frequent clicks. Of long lists all positives and a draw of the others are
looked at in each step, weighted by how many each stands for, so that probabilities stay those of the whole list.
Places: `examination` multiplies each probability by the chance that the place was looked at; `weights` counts a click
1 / chance times instead (inverse propensity); `tower` learns a bias of each place in log-odds beside the network;
`naive` believes clicks as they are. Serving asks for the item as if it was looked at.
Cost: 100,000 examples of 60 columns with two levels about 3 CPU s an epoch. This file alone needs torch (`neural`).
Papers: Ma et al. 2018 (ESMM); Ai et al. 2018, Joachims et al. 2017 (inverse propensity); Zhao et al. 2019 (tower).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as fn

from bodega.protocols import Training
from bodega.ranking.learned._net_shape import Columns, Shape
from bodega.ranking.learned.tasks import Examples, rows_of
from bodega.retrieval._neural.loop import Noise, Plan, train
from bodega.retrieval._neural.weights import Arrays
from bodega.schema.arrays import Floats, Ints, Longs

BIAS = "place.bias"
LEAST = 1e-6
SHARP = 4.0
"""Log-odds between an item that is the same and one that has nothing in common, to begin with."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to learn; see `network.NetworkOptions`."""

    epochs: int
    batch: int
    rate: float
    decay: float
    dropout: float
    listwise: float
    negatives: int
    places: str
    patience: int
    seed: int
    key: str
    """Of a checkpoint."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One batch as tensors: n rows of m lists."""

    x: Tensor
    labels: Tensor
    known: Tensor
    worth: Tensor
    """(n,) how many rows of its list each stands for."""
    chance: Tensor
    """(n,) that its place was looked at."""
    place: Tensor
    list_of: Tensor
    item: Tensor | None
    recent: Tensor
    actions: Tensor


class Lists:
    """Examples as the loop wants them: batches of whole lists. `chance` (n,) see `position.Examination.at`."""

    def __init__(
        self,
        examples: Examples,
        held: Examples,
        columns: Columns,
        vectors: Floats | None,
        chances: tuple[Floats, Floats],
    ) -> None:
        self.examples, self.held = examples, held
        self.columns, self.chances = columns, chances
        self.vectors = None if vectors is None else torch.from_numpy(np.vstack([vectors, np.zeros_like(vectors[:1])]))
        """The last row is of an item that is not there (-1) or too new."""

    def step(self, part: int, rows: Longs, lists: Longs, worth: Floats) -> Step:
        """`rows` of examples (0) or held (1), of these lists (in the same order)."""
        own = (self.examples, self.held)[part]
        labels = own.labels[rows]
        known = np.isfinite(labels)
        local = np.searchsorted(lists, own.list_of[rows]) if part else None
        owner = local if local is not None else _places(lists, own.starts, rows)
        return Step(
            x=torch.from_numpy(self.columns.apply(own.values[rows])),
            labels=torch.from_numpy(np.where(known, labels, 0).astype(np.float32)),
            known=torch.from_numpy(known.astype(np.float32)),
            worth=torch.from_numpy(worth),
            chance=torch.from_numpy(self.chances[part][rows]),
            place=torch.from_numpy(np.maximum(own.position[rows], 0).astype(np.int64)),
            list_of=torch.from_numpy(owner.astype(np.int64)),
            item=None if self.vectors is None else self._item(own.item[rows]),
            recent=self._item(own.recent[lists]),
            actions=torch.from_numpy(own.actions[lists].astype(np.int64)),
        )

    def _item(self, items: Ints) -> Tensor:
        last = 0 if self.vectors is None else len(self.vectors) - 1
        return torch.from_numpy(np.where((items < 0) | (items >= last), last, items).astype(np.int64))


def _places(lists: Longs, starts: Longs, rows: Longs) -> Longs:
    """The place in `lists` (any order) of the list of each row."""
    order = np.argsort(lists, kind="stable")
    owner = np.searchsorted(starts, rows, "right") - 1
    return order[np.searchsorted(lists[order], owner)]


class Ranking:
    """What the shared loop learns: see `retrieval._neural.loop.Task`."""

    def __init__(self, shape: Shape, recipe: Recipe, lists: Lists) -> None:
        self.shape, self.recipe, self.lists = shape, recipe, lists
        examples = lists.examples
        self.scale = torch.from_numpy(_entropies(examples.labels))
        positive = np.nansum(examples.labels[:, : _binary(shape)], axis=1) > 0
        self.positive = positive
        sizes = np.diff(examples.starts)
        kept = sizes if not recipe.negatives else np.minimum(sizes, recipe.negatives + 2)
        self.each = max(1, int(recipe.batch / max(float(kept.mean()), 1.0))) if len(sizes) else 1
        """Lists a batch."""
        self.plain = Noise(0.0, 0)

    def order(self, epoch: int) -> Sequence[Longs]:
        drawn = np.random.default_rng([self.recipe.seed, 5, epoch]).permutation(self.lists.examples.n_lists)
        return [drawn[low : low + self.each] for low in range(0, len(drawn), self.each)]

    def prepare(self, rows: Longs, rng: np.random.Generator) -> Step:
        at, lengths = rows_of(self.lists.examples.starts, rows)
        worth = np.ones(len(at), np.float32)
        most = self.recipe.negatives
        if most and lengths.max(initial=0) > most:
            owner = np.repeat(np.arange(len(rows)), lengths)
            positive = self.positive[at]
            key = np.where(positive, -1.0, rng.random(len(at)))
            order = np.lexsort((key, owner))
            rank = np.arange(len(at)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            n_positive = np.bincount(owner, weights=positive, minlength=len(rows)).astype(np.int64)
            keep = np.sort(order[rank < (n_positive + most)[owner[order]]])
            others = (lengths - n_positive) / np.maximum(np.minimum(lengths - n_positive, most), 1)
            worth = np.where(positive, 1, others[owner])[keep].astype(np.float32)
            at = at[keep]
        return self.lists.step(0, at, rows, worth)

    def loss(self, weights: Mapping[str, Tensor], batch: Step, noise: Noise) -> Tensor:
        z = inputs(self.shape, weights, batch, self.lists.vectors)
        logits = towers(self.shape, weights, z, noise)
        if self.recipe.places == "tower":
            bias = weights[BIAS]
            place = batch.place.clamp(max=len(bias) - 1)
            logits = torch.cat([logits[:, :1] + (bias[place] - bias[0])[:, None], logits[:, 1:]], dim=1)
        happens, fails = self._logs(logits, batch)
        cost = -(self._labels(batch) * happens + (1 - self._labels(batch)) * fails)
        by_row = batch.known * batch.worth[:, None]
        total = ((cost * by_row).sum(dim=0) / by_row.sum(dim=0).clamp(min=1) / self.scale).sum() / len(self.scale)
        if self.recipe.listwise:
            total = total + self.recipe.listwise * self._order(happens - fails, batch)
        return total

    def _labels(self, batch: Step) -> Tensor:
        if self.recipe.places != "weights":
            return batch.labels
        binary = _binary(self.shape)
        raised = batch.labels[:, :binary] / batch.chance.clamp(min=0.1)[:, None]
        return torch.cat([raised, batch.labels[:, binary:]], dim=1)

    def _logs(self, logits: Tensor, batch: Step) -> tuple[Tensor, Tensor]:
        """(log of the chance that it happens, that it does not): (n, n_tasks) each."""
        shape = self.shape
        happens = fn.logsigmoid(logits)
        fails = fn.logsigmoid(-logits)
        first = happens[:, :1]
        chain = torch.tensor([float(task in shape.chained) for task in shape.tasks])
        looked = torch.zeros(len(shape.tasks))
        if self.recipe.places == "examination":
            looked[: _binary(shape)] = 1.0
        joint = happens + chain * first + looked * batch.chance.clamp(min=LEAST).log()[:, None]
        product = (chain + looked) > 0
        other = torch.log1p(-joint.exp().clamp(max=1 - LEAST))
        return joint, torch.where(product, other, fails)

    def _order(self, odds: Tensor, batch: Step) -> Tensor:
        """Softmax cross-entropy over each list that has something right, mean over lists and tasks."""
        binary, n_lists = _binary(self.shape), len(batch.recent)
        score = odds[:, :binary] + batch.worth.log()[:, None]
        rows = batch.list_of[:, None].expand(-1, binary)
        top = torch.full((n_lists, binary), -1e9).scatter_reduce(0, rows, score.detach(), "amax")
        powers = torch.zeros(n_lists, binary).index_add(0, batch.list_of, (score - top[batch.list_of]).exp())
        log_share = odds[:, :binary] - top[batch.list_of] - powers.log()[batch.list_of]
        right = batch.labels[:, :binary] * batch.known[:, :binary]
        count = torch.zeros(n_lists, binary).index_add(0, batch.list_of, right)
        cost = torch.zeros(n_lists, binary).index_add(0, batch.list_of, -right * log_share)
        size = torch.zeros(n_lists).index_add(0, batch.list_of, batch.worth).clamp(min=2).log()
        per_list = cost / count.clamp(min=1) / size[:, None]
        have = (count > 0).float()
        return (per_list * have).sum() / have.sum().clamp(min=1)

    def judge(self, weights: Mapping[str, Tensor]) -> float:
        """Minus the loss over the lists held out, in blocks."""
        held, total, count = self.lists.held, 0.0, 0
        for low in range(0, held.n_lists, 4 * self.each):
            lists = np.arange(low, min(low + 4 * self.each, held.n_lists))
            at, _ = rows_of(held.starts, lists)
            batch = self.lists.step(1, at, lists, np.ones(len(at), np.float32))
            total += float(self.loss(weights, batch, self.plain)) * len(lists)
            count += len(lists)
        return -total / max(count, 1)


def learn(
    shape: Shape, recipe: Recipe, lists: Lists, training: Training, start: Arrays
) -> tuple[Arrays, tuple[float, ...]]:
    """(the trained parameters by name, the loss on the lists held out after each epoch).

    `start`: what to begin with instead of what `begin` draws, by name.
    """
    task = Ranking(shape, recipe, lists)
    plan = Plan(
        epochs=recipe.epochs,
        rate=recipe.rate,
        weight_decay=recipe.decay,
        dropout=recipe.dropout,
        patience=recipe.patience,
        seed=recipe.seed,
        key=recipe.key,
        task="learn to rank",
    )
    start = begin(shape, lists.examples.labels, recipe.seed) | start
    if recipe.places == "tower":
        start[BIAS] = np.zeros(int(min(lists.examples.position.max(initial=0), 99)) + 1, np.float32)
    done = train(start, task, plan, training)
    return {name: weight for name, weight in done.weights.items() if name != BIAS}, tuple(-one for one in done.judged)


def begin(shape: Shape, labels: Floats, seed: int) -> Arrays:
    """Where to start: He's draws, towers at the base rate of their task."""
    rng = np.random.default_rng([seed, 3])
    out: Arrays = {}
    for name, size in shape.sizes().items():
        spread = np.sqrt(2.0 / size[0]) if len(size) == 2 else 0.0
        out[name] = (rng.standard_normal(size) * spread).astype(np.float32)
    for task, name in enumerate(shape.tasks):
        out[f"t{task}.v"] = (rng.standard_normal(shape.tower) * 0.1).astype(np.float32)
        out[f"t{task}.line"] = np.zeros(shape.inputs, np.float32)
        rate = np.clip(np.nanmean(labels[:, task]), 1e-4, 1 - 1e-4)
        if name in shape.chained:
            rate = np.clip(rate / np.clip(np.nanmean(labels[:, 0]), 1e-4, 1), 1e-4, 1 - 1e-3)
        out[f"t{task}.c"] = np.array(np.log(rate / (1 - rate)), np.float32)
    if shape.keys:
        out |= _alike(shape, rng)
    for level in range(shape.levels):
        for stream in shape.outlets(level):
            if f"l{level}.g{stream}" in out:
                out[f"l{level}.g{stream}"] *= np.float32(0.1)  # gates begin level, or the first expert takes all
    return out


def _alike(shape: Shape, rng: np.random.Generator) -> Arrays:
    """Attention begins as likeness: query and key (value and self) are the same projection, sharp enough to tell.

    From unrelated draws the product of small matrices hardly moved: a planted taste behind every second click gave
    an AUC .003 above that without attention, begun like this .041.
    """
    drawn = np.linalg.qr(rng.standard_normal((shape.dimensions, min(shape.keys, shape.dimensions))))[0]
    wide = np.zeros((shape.dimensions, shape.keys))
    wide[:, : drawn.shape[1]] = drawn * np.sqrt(shape.dimensions / drawn.shape[1])
    sharp = (wide * np.sqrt(SHARP * np.sqrt(shape.keys))).astype(np.float32)
    plain = wide.astype(np.float32)
    place = np.full(shape.recent, -SHARP / 2, np.float32)
    return {"a.query": sharp, "a.key": sharp.copy(), "a.value": plain, "a.self": plain.copy(), "a.place": place}


def inputs(shape: Shape, weights: Mapping[str, Tensor], batch: Step, vectors: Tensor | None) -> Tensor:
    """z, as `Forward.inputs`."""
    if not shape.keys or vectors is None or batch.item is None:
        return batch.x
    own_vectors, recent = vectors[batch.item], vectors[batch.recent]
    there = (batch.recent < len(vectors) - 1).float()
    key, value = recent @ weights["a.key"], recent @ weights["a.value"]
    bias = weights["a.place"] + weights["a.action"][batch.actions]
    query = own_vectors @ weights["a.query"]
    rows = batch.list_of
    match = torch.einsum("nk,nhk->nh", query, key[rows]) / shape.keys**0.5
    attention = torch.sigmoid(match + bias[rows]) * there[rows]
    pooled = torch.einsum("nh,nhk->nk", attention, value[rows]) / shape.recent**0.5
    own = own_vectors @ weights["a.self"]
    seen = (there.sum(dim=1) > 0).float()[rows, None]
    total = attention.sum(dim=1, keepdim=True) / shape.recent
    return torch.cat([batch.x, pooled, own, pooled * own, total * seen], dim=1)


def towers(shape: Shape, weights: Mapping[str, Tensor], z: Tensor, noise: Noise) -> Tensor:
    """(n, n_tasks) log-odds, as `Forward.logits`."""
    streams = [z] * shape.streams
    for level in range(shape.levels):
        active: dict[tuple[int, int], Tensor] = {}
        for stream in range(shape.streams):
            if shape.experts(stream):
                flat = noise(fn.relu(streams[stream] @ weights[f"l{level}.w{stream}"] + weights[f"l{level}.b{stream}"]))
                split = flat.view(len(z), shape.experts(stream), shape.width)
                active |= {(stream, number): split[:, number] for number in range(shape.experts(stream))}
        following = []
        for stream in shape.outlets(level):
            mixes = [active[one] for one in shape.gated(stream)]
            if len(mixes) == 1:
                following.append(mixes[0])
                continue
            gate = torch.softmax(
                streams[stream] @ weights[f"l{level}.g{stream}"] + weights[f"l{level}.h{stream}"], dim=1
            )
            following.append(sum((one * gate[:, place, None] for place, one in enumerate(mixes)), torch.zeros(())))
        streams = following
    out = []
    for task in range(len(shape.tasks)):
        hidden = fn.relu(streams[task] @ weights[f"t{task}.w"] + weights[f"t{task}.b"])
        out.append(hidden @ weights[f"t{task}.v"] + z @ weights[f"t{task}.line"] + weights[f"t{task}.c"])
    return torch.stack(out, dim=1)


def _binary(shape: Shape) -> int:
    """How many tasks are yes or no; they come first."""
    return sum(task not in ("dwell", "rating") for task in shape.tasks)


def _entropies(labels: Floats) -> Floats:
    """Cross-entropy of always saying the base rate: (n_tasks,)."""
    rate = np.clip(np.nanmean(labels, axis=0), 1e-4, 1 - 1e-4)
    entropy: Floats = (-rate * np.log(rate) - (1 - rate) * np.log(1 - rate)).astype(np.float32)
    return entropy
