"""What does a step learn from? Guess each next item of a batch of rows, told from shared negatives (sampled softmax).

    prepare   pad the rows; draw negatives, and what is hidden; list the items that the batch needs  (numpy, 2nd thread)
    loss      sum those items' vectors, encode the rows, compare states with items                    (torch)

Only real positions are compared: rows are padded on the right and hold 7 items on Beauty where 50 have room. Optional
parts of the loss: hidden items guessed from both sides, rows told apart, adversarially moved item vectors.
Cost: see `_neural.loop`. Not for: serving.
Papers: Jean et al. 2015 (sampled softmax, logQ); Sun et al. 2019 (BERT4Rec's masked items); Xie et al. 2022 (CL4SRec);
He et al. 2018 (APR).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bodega.protocols import Training
from bodega.retrieval._index import flat_rows
from bodega.retrieval._neural.checkpoint import key_of
from bodega.retrieval._neural.loop import Noise, Plan, Trained, bucketed, owned, train
from bodega.retrieval._neural.sequences import Windows
from bodega.retrieval._neural.weights import Arrays
from bodega.retrieval.sequential.nets import encode
from bodega.retrieval.sequential.options import SequentialOptions
from bodega.retrieval.sequential.vectors import Material
from bodega.schema.arrays import Longs

HIDDEN = 0.2
"""Share of the items that the masked task and the contrast hide."""

HELD_OUT = 2_000
"""Rows whose newest item early stopping judges by (and does not learn from)."""

TEMPERATURE = 0.1
JUDGED = 10


@dataclass(frozen=True, slots=True)
class Table:
    """The items that a batch needs: everywhere else a number of its row stands for an item."""

    needed: Longs
    """Item indices, ascending."""
    slots: Tensor
    codes: Tensor
    """Attribute codes of all needed items, one item after the other; `offsets` says where each begins."""
    offsets: Tensor
    words: Tensor


@dataclass(frozen=True, slots=True)
class Rows:
    """One batch, right-padded to (rows, steps); `real` says where a guess is made."""

    table: Table
    read: Tensor
    actions: Tensor
    real: Tensor
    wanted: Tensor
    """The next item of each real place, one after the other."""
    negatives: Tensor
    taken_off: Tensor
    """logQ of each negative."""
    hidden: Tensor
    """What the masked task and the contrast hide."""


def learn(material: Material, start: Arrays, training: Training, *, warm: bool) -> Trained:
    """The arrays after training. Deterministic; see `loop.train`."""
    options = material.options
    task = NextItem(material)
    epochs = options.epochs_for(int(task.windows.guesses.sum()))
    if warm:
        epochs = max(1, round(epochs * options.warm))
    columns = material.sequences
    plan = Plan(
        epochs=epochs,
        rate=options.rate,
        weight_decay=options.weight_decay,
        dropout=options.dropout,
        patience=options.patience,
        seed=options.seed,
        key=key_of(options, columns.items, columns.starts, columns.actions, *(start[name] for name in sorted(start))),
        task=f"train the {options.encoder}",
    )
    return train(start, task, plan, training)


class NextItem:
    """The task of guessing each next item; see `loop.Task`."""

    def __init__(self, material: Material) -> None:
        self.material, self.options = material, material.options
        columns = material.sequences
        windows = columns.windows(self.options.newest)
        self.held_out = _held_out(windows, self.options)
        if len(self.held_out):
            high = windows.high.copy()
            high[self.held_out] -= 1
            windows = Windows(windows.low, high, windows.row)
        enough = np.cumsum(windows.guesses) - windows.guesses < self.options.guesses
        self.windows = windows.take(np.flatnonzero(enough & (windows.guesses > 0)))
        self.judged = Windows(windows.low, windows.high + 1, windows.row).take(self.held_out)
        counts = columns.counts(len(material.items))[material.known].astype(np.float64)
        share = self.options.popular
        self.chance = (1 - share) / max(len(counts), 1) + share * counts / max(counts.sum(), 1)
        self.upto = np.cumsum(self.chance)

    def order(self, epoch: int) -> Sequence[Longs]:
        rng = np.random.default_rng([self.options.seed, 4, epoch])
        return bucketed(self.windows.guesses, self.options.batch, rng, most=self.options.places)

    def prepare(self, rows: Longs, rng: np.random.Generator) -> Rows:
        columns, windows = self.material.sequences, self.windows.take(rows)
        block = windows.padded(columns.items, 0)
        real = np.arange(block.shape[1] - 1) < windows.guesses[:, None]
        drawn = np.searchsorted(self.upto, rng.random(self.options.negatives) * self.upto[-1])
        drawn = np.unique(np.minimum(drawn, len(self.upto) - 1))
        expected = -np.expm1(self.options.negatives * np.log1p(-np.minimum(self.chance[drawn], 1 - 1e-9)))
        actions = windows.padded(columns.actions, 0)[:, :-1]
        hidden = (rng.random(real.shape) < HIDDEN) & real
        table = self._table(np.unique(np.concatenate([block.ravel(), self.material.known[drawn]])))
        place = np.searchsorted(table.needed, block)
        return Rows(
            table,
            torch.from_numpy(place[:, :-1].copy()),
            torch.from_numpy(actions.copy()),
            torch.from_numpy(real),
            torch.from_numpy(place[:, 1:][real]),
            torch.from_numpy(np.searchsorted(table.needed, self.material.known[drawn])),
            torch.from_numpy((self.options.correction * np.log(expected)).astype(np.float32)),
            torch.from_numpy(hidden),
        )

    def loss(self, weights: Mapping[str, Tensor], batch: Rows, noise: Noise) -> Tensor:
        options = self.options
        vectors = self._vectors(weights, batch)
        x = self._inputs(weights, vectors[batch.read], batch)
        states = encode(options, weights, x, noise)
        found = states[batch.real]
        loss = _told(found, vectors, batch.wanted, batch)
        if options.adversarial:
            loss = loss + options.adversarial * _adversarial(found, vectors, batch, options.epsilon)
        if options.masked or options.contrast:
            holes = torch.where(batch.hidden[..., None], weights["mask"], vectors[batch.read])
            y = self._inputs(weights, holes, batch)
        if options.masked:
            loss = loss + options.masked * self._masked(weights, vectors, y, batch, noise)
        if options.contrast:
            last = (torch.arange(len(states)), batch.real.sum(1) - 1)
            loss = loss + options.contrast * _apart(states[last], encode(options, weights, y, noise)[last])
        return loss

    def judge(self, weights: Mapping[str, Tensor]) -> float:
        """NDCG@10 of the newest item of the rows held out, all items ranked."""
        tables = {name: weights[name].detach().numpy() for name in ("item", "attribute", "title")}
        known = self.material.known
        vectors = torch.from_numpy(self.material.vectors(tables))
        total = 0.0
        for low in range(0, len(self.judged), 256):
            windows = self.judged.take(np.arange(low, min(low + 256, len(self.judged))))
            block = windows.padded(self.material.sequences.items, 0)
            actions = windows.padded(self.material.sequences.actions, 0)[:, :-1]
            x = vectors[torch.from_numpy(block[:, :-1])] * self.options.dimensions**0.5
            x = x + weights["position"][: x.shape[1]] + weights["action"][torch.from_numpy(actions)]
            last = (torch.arange(len(x)), torch.from_numpy(windows.guesses - 1))
            scores = encode(self.options, weights, x, _same)[last] @ vectors[torch.from_numpy(known.astype(np.int64))].T
            answer = block[np.arange(len(block)), windows.guesses]
            own = scores[torch.arange(len(x)), torch.from_numpy(np.searchsorted(known, answer))]
            rank = (scores > own[:, None]).sum(1).numpy()
            total += float((1 / np.log2(rank[rank < JUDGED] + 2)).sum())
        return total / max(len(self.judged), 1)

    def _table(self, needed: Longs) -> Table:
        bags = self.material.bags
        flat, lengths = flat_rows(bags.indptr, needed.astype(np.int32))
        return Table(
            needed,
            torch.from_numpy(self.material.slot[needed].astype(np.int64)),
            torch.from_numpy(bags.indices[flat].astype(np.int64)),
            torch.from_numpy(np.cumsum(lengths) - lengths),
            owned(self.material.words[needed]),
        )

    def _vectors(self, weights: Mapping[str, Tensor], batch: Rows) -> Tensor:
        """(items of the table, d): what `Material.vectors` says, with gradients."""
        table = batch.table
        padded = functional.pad(weights["item"], (0, 0, 0, 1))
        vectors = functional.embedding(table.slots, padded)
        if len(weights["attribute"]):
            vectors = vectors + functional.embedding_bag(table.codes, weights["attribute"], table.offsets, mode="mean")
        if len(weights["title"]):
            vectors = vectors + table.words @ weights["title"]
        return vectors

    def _inputs(self, weights: Mapping[str, Tensor], read: Tensor, batch: Rows) -> Tensor:
        x = read * self.options.dimensions**0.5 + weights["position"][: read.shape[1]]
        inputs: Tensor = x + functional.embedding(batch.actions, weights["action"])
        return inputs

    def _masked(self, weights: Mapping[str, Tensor], vectors: Tensor, y: Tensor, batch: Rows, noise: Noise) -> Tensor:
        """Guess what is hidden, from both sides."""
        if not bool(batch.hidden.any()):
            return torch.zeros(())
        found = encode(self.options, weights, y, noise, both_sides=True)[batch.hidden]
        return _told(found, vectors, batch.read[batch.hidden], batch)


def _told(states: Tensor, vectors: Tensor, wanted: Tensor, batch: Rows) -> Tensor:
    """Cross entropy of the wanted item against the shared negatives; a negative that is the wanted item is left out."""
    right = (states * vectors[wanted]).sum(-1, keepdim=True)
    wrong = states @ vectors[batch.negatives].T - batch.taken_off
    wrong = wrong.masked_fill(batch.negatives == wanted[:, None], -torch.inf)
    return (torch.logsumexp(torch.cat([right, wrong], 1), 1) - right[:, 0]).mean()


def _adversarial(states: Tensor, vectors: Tensor, batch: Rows, epsilon: float) -> Tensor:
    """The same loss where every item vector is moved by `epsilon` in its most harmful direction."""
    fixed = vectors.detach().requires_grad_()
    harm = torch.autograd.grad(_told(states.detach(), fixed, batch.wanted, batch), fixed)[0]
    moved = vectors + epsilon * functional.normalize(harm, dim=-1)
    return _told(states, moved, batch.wanted, batch)


def _apart(one: Tensor, other: Tensor) -> Tensor:
    """Each row is nearer to its own other view than to other rows' (InfoNCE, both ways)."""
    near = functional.normalize(one, dim=-1) @ functional.normalize(other, dim=-1).T / TEMPERATURE
    own = torch.arange(len(one))
    return (functional.cross_entropy(near, own) + functional.cross_entropy(near.T, own)) / 2


def _held_out(windows: Windows, options: SequentialOptions) -> Longs:
    """The pieces whose newest item is kept for early stopping: a tenth of the shoppers with three items or more."""
    if not options.patience:
        return np.empty(0, np.int64)
    _, newest = np.unique(windows.row, return_index=True)  # a shopper's newest piece comes first
    able = newest[windows.guesses[newest] > 1]
    drawn = np.random.default_rng([options.seed, 5]).permutation(able)
    return np.sort(drawn[: min(HELD_OUT, len(able) // 10)]).astype(np.int64)


def _same(x: Tensor) -> Tensor:
    return x
