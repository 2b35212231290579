"""How does the network learn? Every position of every row guesses the codes of the step after it.

The task of `_neural.loop`: a batch is pieces of rows of similar length; the timeline runs once, the depth decoder sees
at all positions the true codes so far (teacher forcing), and the loss is the sum of the levels' cross entropies: the
negative log-probability of the item itself. Where the next step is a known search, its words are guessed instead.
The encoder-decoder form sees one drawn cut of each piece, as it reads the history without a mask.
Cost: Beauty about 9 CPU s an epoch. Not for: serving (`_network`, which must give the same numbers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, embedding, layer_norm, linear, relu, scaled_dot_product_attention

from bodega.protocols import Training
from bodega.retrieval._neural.checkpoint import key_of
from bodega.retrieval._neural.loop import Noise, Plan, Trained, bucketed, train
from bodega.retrieval.generative._lesson import OWN, Lesson
from bodega.schema.arrays import Longs

Held = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Batch:
    """(rows, longest) blocks of steps and actions; `lengths` (rows,): steps that are read (encoder-decoder form: up to
    the drawn cut)."""

    steps: Tensor
    actions: Tensor
    lengths: Tensor
    positions: Tensor
    """(n_guesses, 2): row and place whose next step is guessed."""
    following: Tensor
    """(n_guesses,) the step that followed."""
    strangers: Tensor
    """Items drawn evenly, for the dense model; empty where there is none."""


def taught(lesson: Lesson, training: Training) -> Trained:
    """The weights, and how they came about, after as many epochs as the size of the data asks for."""
    task, options = GenerativeTask(lesson), lesson.options
    rows = lesson.steps.rows
    fewest, most = options.epochs
    an_epoch = len(task.windows) if options.decoder == "t5" else int(task.windows.guesses.sum())
    epochs = min(most, max(fewest, round(options.guesses / max(an_epoch, 1))))
    plan = Plan(
        epochs=epochs,
        rate=options.rate,
        weight_decay=options.weight_decay,
        dropout=options.dropout,
        seed=options.seed,
        key=key_of(options, rows.starts, rows.items, rows.actions, lesson.codes, lesson.vectors, lesson.steps.bags),
        task="learn generative",
    )
    return train(lesson.start(), task, plan, training)


class GenerativeTask:
    """See `_neural.loop.Task`."""

    def __init__(self, lesson: Lesson) -> None:
        self.lesson, self.options = lesson, lesson.options
        self.windows = lesson.steps.rows.windows(self.options.length)
        n_items, levels = len(lesson.codes), self.options.levels
        self.n_items = n_items
        self.codes = torch.from_numpy(np.vstack([lesson.codes, np.zeros((1, levels + 1))]).astype(np.int64))
        self.digits = torch.from_numpy(np.append(lesson.n_digits, 0).astype(np.int64))
        self.side = torch.from_numpy(np.vstack([lesson.vectors, np.zeros_like(lesson.vectors[:1])]))
        bags = lesson.steps.bags.astype(np.int64)
        self.bags, self.known = torch.from_numpy(np.maximum(bags, 0)), torch.from_numpy(lesson.steps.query)
        self.spoken = torch.from_numpy((bags >= 0).astype(np.float32))
        asked = lesson.language.bags.astype(np.int64)
        self.asked, self.asked_held = torch.from_numpy(np.maximum(asked, 0)), torch.from_numpy((asked >= 0) * 1.0)
        self.searches = bool(len(bags))

    def order(self, epoch: int) -> Sequence[Longs]:
        rng = np.random.default_rng([self.options.seed, epoch, 5])
        size = min(self.options.batch, max(SMALLEST, len(self.windows) // BATCHES))
        return bucketed(self.windows.guesses, size, rng)

    def prepare(self, rows: Longs, rng: np.random.Generator) -> Batch:
        pieces = self.windows.take(rows)
        steps = pieces.padded(self.lesson.steps.rows.items, -1)
        actions = pieces.padded(self.lesson.steps.rows.actions, 0)
        lengths = pieces.guesses
        if self.options.decoder == "t5":
            lengths = 1 + rng.integers(0, lengths)
            row, place = np.arange(len(rows)), lengths - 1
        else:
            row, place = np.nonzero(np.arange(steps.shape[1] - 1) < lengths[:, None])
        count = min(self.options.strangers, self.n_items) if self.options.rescoring else 0
        return Batch(
            torch.from_numpy(np.maximum(steps[:, :-1], 0)),
            torch.from_numpy(actions[:, :-1]),
            torch.from_numpy(lengths),
            torch.from_numpy(np.stack([row, place], axis=1)),
            torch.from_numpy(steps[row, place + 1]),
            torch.from_numpy(rng.integers(0, self.n_items, count)),
        )

    def loss(self, weights: Held, batch: Batch, noise: Noise) -> Tensor:
        states = timeline(weights, self, batch, noise)
        wanted = batch.following < self.n_items
        item = batch.following[wanted]
        if self.options.decoder == "t5":
            memory = (states[wanted], batch.lengths[wanted])
            total = self._codes(item, lambda level: crossed(weights, self, level, memory, item, noise))
            last = states[batch.positions[:, 0], batch.positions[:, 1]]
        else:
            last = states[batch.positions[:, 0], batch.positions[:, 1]]
            so_far = noise(last[wanted])
            total = self._codes(item, lambda level: depth(weights, self, level, so_far, item))
        if self.options.rescoring:
            total = total + self._dense(weights, last[wanted], item, batch.strangers)
        if self.searches:
            total = total + self._asked(weights, last[~wanted], batch.following[~wanted] - self.n_items)
        return total / max(len(batch.following), 1)

    def judge(self, weights: Held) -> float:
        del weights
        return 0.0

    def _codes(self, item: Tensor, logits: object) -> Tensor:
        """Sum of the levels' cross entropies; the digit is guessed among those of its leaf."""
        assert callable(logits)
        codes, levels = self.codes[item], self.options.levels
        total = torch.zeros(())
        for level in range(levels):
            total = total + cross_entropy(logits(level), codes[:, level], reduction="sum")
        several = self.digits[item] > 1
        told: Tensor = logits(levels)[several]
        outside = torch.arange(told.shape[1]) >= self.digits[item][several, None]
        told = told.masked_fill(outside, -1e9)
        return total + cross_entropy(told, codes[several, levels], reduction="sum")

    def _dense(self, weights: Held, states: Tensor, item: Tensor, strangers: Tensor) -> Tensor:
        """Sampled softmax of state x item vector, one set of negatives for the whole batch."""
        right = (states * self.vectors(weights, item)).sum(dim=1, keepdim=True)
        wrong = states @ self.vectors(weights, strangers).T
        wrong = wrong.masked_fill(strangers[None] == item[:, None], -1e9)
        nothing = torch.zeros(len(item), dtype=torch.int64)
        return cross_entropy(torch.cat([right, wrong], dim=1), nothing, reduction="sum")

    def _asked(self, weights: Held, states: Tensor, bag: Tensor) -> Tensor:
        """The next search, among all known ones."""
        query = self.known[bag]
        states, query = states[query >= 0], query[query >= 0]
        meant = bag_vectors(weights["words"], self.asked, self.asked_held.float())
        logits = (states @ weights["ask"].T) @ meant.T + weights["asked"]
        return cross_entropy(logits, query.long(), reduction="sum")

    def vectors(self, weights: Held, items: Tensor) -> Tensor:
        """The items' vectors, any shape: the sum of their codes' embeddings, and their own."""
        codes = self.codes[items]
        found = sum(embedding(codes[..., level], weights[f"code{level}"]) for level in range(codes.shape[-1]))
        assert isinstance(found, Tensor)
        if self.options.side:
            found = found + self.side[items] @ weights["side"]
        if OWN in weights:
            found = found + embedding(items.clamp(max=self.n_items - 1), weights[OWN])
        return found


SMALLEST, BATCHES = 16, 64
"""A small shop's batches are smaller, so that an epoch has about so many of them (with 2 a network learns nothing)."""


def bag_vectors(words: Tensor, bags: Tensor, held: Tensor) -> Tensor:
    """The mean of the word vectors of each bag (n, words): (n, d)."""
    total = (embedding(bags, words) * held[..., None]).sum(dim=-2)
    return total / held.sum(dim=-1, keepdim=True).clamp(min=1)


def timeline(weights: Held, task: GenerativeTask, batch: Batch, noise: Noise) -> Tensor:
    """States (rows, longest, d)."""
    steps = batch.steps
    is_item = steps < task.n_items
    x = task.vectors(weights, torch.where(is_item, steps, task.n_items))
    x = x * is_item[..., None]
    if task.searches:
        bag = (steps - task.n_items).clamp(min=0)
        said = bag_vectors(weights["words"], task.bags[bag], task.spoken[bag])
        x = x + said * ~is_item[..., None]
    x = x + embedding(batch.actions, weights["action"]) + weights["place"][: steps.shape[1]]
    x = noise(x)
    causal = task.options.decoder != "t5"
    seen = None if causal else (torch.arange(steps.shape[1]) < batch.lengths[:, None])[:, None, None]
    for layer in range(task.options.layers):
        x = block(weights, f"block{layer}", x, task.options.heads, noise, seen)
    return normed(x, weights["last.scale"], weights["last.shift"])


def depth(weights: Held, task: GenerativeTask, level: int, states: Tensor, item: Tensor) -> Tensor:
    """Logits of one level at every guess, the true codes so far known."""
    h = states
    for before in range(level):
        h = h + embedding(task.codes[item, before], weights[f"path{before}"])
    rise = relu(linear(h, weights[f"up{level}"], weights[f"rise{level}"]))
    h = h + linear(rise, weights[f"down{level}"])
    z = normed(h, weights[f"end{level}.scale"], weights[f"end{level}.shift"])
    return linear(z, weights[f"out{level}"], weights[f"bias{level}"])


def crossed(
    weights: Held, task: GenerativeTask, level: int, memory: tuple[Tensor, Tensor], item: Tensor, noise: Noise
) -> Tensor:
    """Logits of one level of the encoder-decoder form."""
    states, lengths = memory
    seen = (torch.arange(states.shape[1]) < lengths[:, None])[:, None, None]
    parts = [weights["begin"].expand(len(item), -1)]
    parts += [embedding(task.codes[item, before], weights[f"path{before}"]) for before in range(level)]
    x = noise(torch.stack(parts, dim=1) + weights["depth"][: level + 1])
    heads = task.options.heads
    for layer in range(task.options.layers):
        name = f"cross{layer}"
        ask = linear(normed(x, weights[f"{name}.scale"], weights[f"{name}.shift"]), weights[f"{name}.ask"])
        key, value = linear(states, weights[f"{name}.told"]).chunk(2, dim=-1)
        x = x + linear(attended(ask, key, value, heads, seen), weights[f"{name}.out"])
        x = block(weights, f"decode{layer}", x, heads, noise, None)
    z = normed(x[:, -1], weights["end.scale"], weights["end.shift"])
    return linear(z, weights[f"out{level}"], weights[f"bias{level}"])


def block(w: Held, name: str, x: Tensor, heads: int, noise: Noise, seen: Tensor | None) -> Tensor:
    """One pre-norm Transformer block; `seen` (rows, 1, 1, n): the real places; None: each sees those before it."""
    y = linear(normed(x, w[f"{name}.scale1"], w[f"{name}.shift1"]), w[f"{name}.qkv"])
    query, key, value = y.chunk(3, dim=-1)
    x = x + noise(linear(attended(query, key, value, heads, seen), w[f"{name}.mix"]))
    y = normed(x, w[f"{name}.scale2"], w[f"{name}.shift2"])
    y = linear(relu(linear(y, w[f"{name}.up"], w[f"{name}.rise"])), w[f"{name}.down"], w[f"{name}.fall"])
    return x + noise(y)


def attended(query: Tensor, key: Tensor, value: Tensor, heads: int, seen: Tensor | None) -> Tensor:
    """Scaled dot-product attention over (rows, n, d); see `block` for `seen`."""
    q, k, v = (part.reshape(*part.shape[:2], heads, -1).transpose(1, 2) for part in (query, key, value))
    mixed = scaled_dot_product_attention(q, k, v, attn_mask=seen, is_causal=seen is None)
    return mixed.transpose(1, 2).flatten(-2)


def normed(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return layer_norm(x, x.shape[-1:], scale, shift, 1e-5)
