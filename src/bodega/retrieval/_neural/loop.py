"""How is any network learned here? One loop: batches prepared in a second thread, Adam, a rate that falls to 0.

A `Task` says what a batch is and what it costs; the loop does the rest, and nothing in it depends on the clock: order,
negatives and dropout of a step are drawn from (seed, epoch, number of the step), so a training that was killed goes on
where it was, bit by bit, and the second thread changes nothing but the time. Dropout masks are slices of one pool drawn
beforehand: torch's own were a third of a step. One thread computes (`Plan.threads`): sums then have one order.
Cost: Beauty's SASRec (22,000 shoppers, d 64) about 10 CPU s an epoch. Not for: serving.
Papers: Kingma & Ba 2015 (Adam); Loshchilov & Hutter 2019 (decoupled weight decay).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bodega.protocols import Training
from bodega.retrieval._neural.checkpoint import Checkpoint, Place, State
from bodega.retrieval._neural.weights import Arrays
from bodega.schema.arrays import Longs

Batch = TypeVar("Batch")
POOL = 1 << 22
"""Numbers in the pool of dropout masks: 16 MB."""


class Noise:
    """Dropout of one step: `noise(x)` is x with a share `rate` of its numbers 0 and the others scaled up."""

    def __init__(self, rate: float, seed: int) -> None:
        self.rate = rate
        drawn = np.random.default_rng([seed, 1]).random(POOL if rate else 1, np.float32)
        self._pool = torch.from_numpy(((drawn >= rate) / (1 - rate)).astype(np.float32))
        self._rng = np.random.default_rng(0)

    def begin(self, key: Sequence[int]) -> None:
        """All masks until the next call depend on this key alone."""
        self._rng = np.random.default_rng([*key, 2])

    def __call__(self, x: Tensor) -> Tensor:
        return x * self.mask(x.numel()).view(x.shape) if self.rate else x

    def mask(self, count: int) -> Tensor:
        """That many numbers, 0 or 1 / (1 - rate)."""
        parts, left = [], count
        while left > 0:
            size = min(left, POOL // 2)
            low = int(self._rng.integers(0, POOL - size))
            parts.append(self._pool[low : low + size])
            left -= size
        return parts[0] if len(parts) == 1 else torch.cat(parts)


class Task(Protocol, Generic[Batch]):
    """What is learned."""

    def order(self, epoch: int) -> Sequence[Longs]:
        """The rows of every batch of this epoch, in the order of the steps; depends on the epoch alone."""
        ...

    def prepare(self, rows: Longs, rng: np.random.Generator) -> Batch:
        """What the step needs, with all its random draws. Runs in another thread: reads, and writes nothing shared."""
        ...

    def loss(self, weights: Mapping[str, Tensor], batch: Batch, noise: Noise) -> Tensor:
        """One number to make smaller."""
        ...

    def judge(self, weights: Mapping[str, Tensor]) -> float:
        """Higher is better; asked after each epoch, without gradients, when `Plan.patience` is above 0."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast. All in steps and epochs, nothing in seconds."""

    epochs: int
    rate: float = 1e-3
    """Learning rate after the warm-up; it falls to 0 along half a cosine."""
    warm_up: float = 0.02
    """Share of the steps in which the rate rises."""
    weight_decay: float = 0.0
    dropout: float = 0.5
    clip: float = 5.0
    """Longest gradient; 0: any."""
    patience: int = 0
    """Stop after so many epochs without a better `judge`, and go back to the best. 0: all epochs, the last weights."""
    seed: int = 7
    key: str = ""
    """Names the data and the options: a checkpoint of another key is not used."""
    keep_every: int = 300
    """Steps between two checkpoints (where `Training.checkpoint` names a folder)."""
    threads: int = 1
    task: str = "train"
    """For people: what the progress bar says."""


@dataclass(frozen=True, slots=True)
class Trained:
    """The weights, and how they came about."""

    weights: Arrays
    epochs: int
    judged: tuple[float, ...]
    losses: tuple[float, ...] = ()
    """Mean training loss of each epoch."""


def train(start: Arrays, task: Task[Batch], plan: Plan, training: Training) -> Trained:
    """Learn from these weights on. Same start, task and plan: same bytes, killed in between or not."""
    with _one_order(plan.threads):
        return _Run(start, task, plan, training).whole()


class _Run(Generic[Batch]):
    """One training, from the beginning or from its checkpoint."""

    def __init__(self, start: Arrays, task: Task[Batch], plan: Plan, training: Training) -> None:
        self.task, self.plan, self.training = task, plan, training
        self.kept = Checkpoint(training.checkpoint, plan.key)
        state = self.kept.latest() or State(Place(), {"weights": start})
        self.place = state.place
        self.weights = {name: _leaf(state.groups["weights"][name]) for name in start}  # sums depend on their order
        self.optimizer = torch.optim.AdamW(
            list(self.weights.values()), lr=plan.rate, weight_decay=plan.weight_decay, fused=True
        )
        self.best = state.groups.get("best", {})
        self.noise = Noise(plan.dropout, plan.seed)
        self.steps = len(task.order(0))
        """Of one epoch."""
        self._restore(state)

    def whole(self) -> Trained:
        total = self.plan.epochs * self.steps
        self.training.progress.start(self.plan.task, total)
        self.training.progress.advance(min(total, self.place.epoch * self.steps + self.place.number))
        while self.place.epoch < self.plan.epochs and not self._enough():
            self._epoch()
        self.training.progress.finish()
        weights = self.best if self.plan.patience and self.best else self._arrays()
        return Trained(weights, self.place.epoch, self.place.judged, self.place.losses)

    def _epoch(self) -> None:
        epoch, first, lost = self.place.epoch, self.place.number, self.place.lost
        batches = self.task.order(epoch)
        for number, batch in self._prepared(batches, epoch, first):
            lost += self._step(batch, epoch, number)
            self.training.progress.advance()
            done = epoch * self.steps + number + 1
            if done % self.plan.keep_every == 0 and number + 1 < len(batches):
                self.place = Place(epoch, number + 1, self.place.judged, self.place.losses, lost)
                self._keep()
        losses = (*self.place.losses, round(lost / max(len(batches), 1), 6))
        self.place = Place(epoch + 1, 0, (*self.place.judged, *self._judged()), losses)
        self._keep()

    def _prepared(self, batches: Sequence[Longs], epoch: int, first: int) -> Iterator[tuple[int, Batch]]:
        """The batches in their order; the next is made while this one is computed."""
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
            following: Future[Batch] | None = None
            for number in range(first, len(batches) + 1):
                ready, following = following, None
                if number < len(batches):
                    rng = np.random.default_rng([self.plan.seed, epoch, number])
                    following = pool.submit(self.task.prepare, batches[number], rng)
                if ready is not None:
                    yield number - 1, ready.result()

    def _step(self, batch: Batch, epoch: int, number: int) -> float:
        self.optimizer.param_groups[0]["lr"] = self._rate(epoch * self.steps + number)
        self.noise.begin((self.plan.seed, epoch, number))
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.task.loss(self.weights, batch, self.noise)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.plan.clip:
            torch.nn.utils.clip_grad_norm_(list(self.weights.values()), self.plan.clip)
        self.optimizer.step()
        return float(loss.detach())

    def _rate(self, step: int) -> float:
        total = max(self.plan.epochs * self.steps, 1)
        rising = max(1, round(self.plan.warm_up * total))
        left = (total - step) / max(total - rising, 1)
        return self.plan.rate * min((step + 1) / rising, 0.5 - 0.5 * float(np.cos(np.pi * min(left, 1.0))))

    def _judged(self) -> tuple[float, ...]:
        """What validation says, where somebody listens; remembers the best weights."""
        if not self.plan.patience:
            return ()
        with torch.no_grad():
            value = self.task.judge(self.weights)
        if value > max(self.place.judged, default=-np.inf):
            self.best = self._arrays()
        return (value,)

    def _enough(self) -> bool:
        judged = self.place.judged
        return bool(self.plan.patience and judged and len(judged) - 1 - int(np.argmax(judged)) >= self.plan.patience)

    def _arrays(self) -> Arrays:
        return {name: weight.detach().numpy().copy() for name, weight in self.weights.items()}

    def _keep(self) -> None:
        if self.training.checkpoint is None:
            return
        groups: dict[str, Arrays] = {"weights": self._arrays(), "best": self.best, "first": {}, "second": {}}
        for name, weight in self.weights.items():
            moments: dict[str, Any] = self.optimizer.state.get(weight, {})
            if moments:
                groups["first"][name] = moments["exp_avg"].numpy()
                groups["second"][name] = moments["exp_avg_sq"].numpy()
                groups.setdefault("steps", {})[name] = moments["step"].numpy().reshape(1)
        self.kept.keep(State(self.place, groups))

    def _restore(self, state: State) -> None:
        for name, first in state.groups.get("first", {}).items():
            self.optimizer.state[self.weights[name]] = {
                "step": torch.tensor(float(state.groups["steps"][name][0])),
                "exp_avg": owned(first),
                "exp_avg_sq": owned(state.groups["second"][name]),
            }


def bucketed(
    lengths: Longs, size: int, rng: np.random.Generator, *, most: int | None = None, mixed: int = 50
) -> list[Longs]:
    """Batches of `size` rows of similar length, so that little is padding; which rows meet, and the order, is drawn.

    Rows are shuffled, sorted by length within groups of `mixed` batches, and the batches shuffled. `most` bounds rows x
    longest of a batch: where all rows are long (a supermarket), `size` of them are too few steps a pass.
    """
    drawn = rng.permutation(len(lengths))
    batches = []
    for low in range(0, len(drawn), size * mixed):
        group = drawn[low : low + size * mixed]
        group = group[np.argsort(lengths[group], kind="stable")]
        start = 0
        while start < len(group):
            count = size if most is None else min(size, _fitting(lengths[group[start : start + size]], most))
            batches.append(group[start : start + count])
            start += count
    return [batches[place] for place in rng.permutation(len(batches))]


def _fitting(lengths: Longs, most: int) -> int:
    """How many of these rows (ascending lengths) make a block of at most `most` places; at least one."""
    return max(1, int(np.count_nonzero(np.arange(1, len(lengths) + 1) * lengths <= most)))


def owned(array: NDArray[Any]) -> Tensor:
    """A copy in torch's own memory, float32. Torch's lies at 64 bytes, numpy's at any 16, and MKL promises equal sums
    only for equal alignment: a precaution."""
    return torch.from_numpy(np.asarray(array, np.float32)).clone()


def _leaf(array: NDArray[Any]) -> Tensor:
    return owned(array).requires_grad_()


@contextmanager
def _one_order(threads: int) -> Iterator[None]:
    """So many threads, and only deterministic algorithms; afterwards as it was."""
    before, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(strict)
