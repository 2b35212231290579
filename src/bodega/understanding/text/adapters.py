"""Can a pretrained encoder learn this shop's language in minutes? A small correction on top of it, from clicks.

The encoder stays as it is; its vectors get a low-rank correction, x -> unit(x + (x down) up), for queries and items,
trained so that a query lies nearer to what people chose for it than to anything else. A third of the queries is kept
apart: one half of it says when to stop, the other half whether it helped. An adapter is only handed out when the
interval of its gain lies above 0.
Cost: encoding the texts (3 ms each with a small pretrained encoder, once), then about 25 s of training; 2 x d x rank
numbers a side. Not for: shops without queries in their log, or the static encoder (which learns from clicks itself).
Paper: Hu et al. 2022 (low-rank adaptation); van den Oord et al. 2018 (InfoNCE).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.evaluation.significance import paired
from bodega.protocols import Encoder, EncoderInfo, NoProgress, Progress
from bodega.schema import World
from bodega.schema.arrays import Doubles, Floats
from bodega.schema.table import mapped
from bodega.understanding.text._signals import Clicks, clicks_of
from bodega.understanding.text.passages import passage
from bodega.understanding.text.static import StaticEncoder, unit

PARTS = ("query_down", "query_up", "item_down", "item_up")
Rows = NDArray[np.int64]


class AdapterOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Chosen on queries generated from Best Buy descriptions (docs/decisions/0011-static-encoder.md)."""

    rank: int = 16
    seed: int = 7
    batch: int = 256
    strangers: int = 256
    """Items drawn evenly beside those of the batch, as contrast."""
    rate: float = 0.001
    steps: int = 2_000
    patience: int = 5
    """Checks without a gain before it stops; it checks every 50 steps."""
    held_out: float = 0.3
    """Share of queries kept apart."""
    fewest: int = 60
    """With fewer queries nothing is tried."""
    most_items: int = 20_000
    """Items that are encoded: all that were chosen (as far as this allows), others by chance."""
    sharpness: float = 2.0
    """Temperature = spread of the cosines of strangers / this."""


class AdapterFacts(msgspec.Struct, frozen=True):
    """What was tried, and what it gave: mean reciprocal rank on queries kept apart, with a 95 % interval."""

    queries: int
    items: int
    steps: int
    before: float
    after: float
    gain: float
    low: float
    high: float
    kept: bool
    why: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """The correction: `*_down` (d, rank) and `*_up` (rank, d), float32, for queries and for items."""

    query_down: Floats
    query_up: Floats
    item_down: Floats
    item_up: Floats

    @classmethod
    def start(cls, dimensions: int, rank: int, rng: np.random.Generator) -> Adapter:
        """A correction that changes nothing yet."""
        down = rng.standard_normal((dimensions, rank), np.float32) / np.float32(np.sqrt(dimensions))
        nothing = np.zeros((rank, dimensions), np.float32)
        return cls(down, nothing, down.copy(), nothing.copy())

    def apply(self, vectors: Floats, *, query: bool) -> Floats:
        """Corrected vectors, rows of length 1 (rows of zeros stay zeros)."""
        down, up = (self.query_down, self.query_up) if query else (self.item_down, self.item_up)
        return unit(np.asarray(vectors + (vectors @ down) @ up, np.float32))

    @property
    def digest(self) -> str:
        digest = sha256()
        for name in PARTS:
            digest.update(np.ascontiguousarray(getattr(self, name)).data)
        return digest.hexdigest()[:16]

    def save(self, folder: Path) -> None:
        for name in PARTS:
            np.save(folder / f"{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> Adapter:
        return cls(*(mapped(folder / f"{name}.npy") for name in PARTS))


class Adapted:
    """An encoder with its correction: an encoder (`protocols.Encoder`)."""

    def __init__(self, encoder: Encoder, adapter: Adapter) -> None:
        self.encoder, self.adapter = encoder, adapter
        info = encoder.info
        self.info = EncoderInfo(
            f"{info.name}+adapter",
            info.dimensions,
            sha256(f"{info.digest}{adapter.digest}".encode()).hexdigest()[:16],
            info.languages,
            f"{info.origin or info.name}, adapted to this shop's clicks",
        )

    def encode(self, texts: Sequence[str], *, query: bool = False) -> Floats:
        """(len(texts), info.dimensions)."""
        return self.adapter.apply(np.asarray(self.encoder.encode(texts, query=query), np.float32), query=query)

    def save(self, folder: Path) -> None:
        """The correction only: the encoder itself is opened again."""
        self.adapter.save(folder)


def load_kept(folder: Path, reopen: Callable[[], Encoder]) -> Encoder:
    """What a dense source kept of its encoder: the shop's own, or a correction over one that `reopen` opens."""
    if (folder / f"{PARTS[0]}.npy").is_file():
        return Adapted(reopen(), Adapter.load(folder))
    return StaticEncoder.load(folder)


def adapt(
    encoder: Encoder, world: World, options: AdapterOptions | None = None, progress: Progress | None = None
) -> tuple[Adapter | None, AdapterFacts]:
    """Learn a correction from the clicks of the log; None where there are too few queries or it does not help."""
    options, progress = options or AdapterOptions(), progress or NoProgress()
    rng = np.random.default_rng(options.seed)
    clicks = clicks_of(world.log)
    if len(clicks.texts) < options.fewest:
        return None, _refused(len(clicks.texts), f"fewer than {options.fewest} queries with a chosen item")
    rows = _chosen_and_others(clicks, len(world.items), options.most_items, rng)
    progress.start(f"show texts to {encoder.info.name}", len(clicks.texts) + len(rows))
    queries = _encoded(encoder, clicks.texts, progress, query=True)
    items = _encoded(encoder, [passage(world.items.item(row)) for row in rows.tolist()], progress, query=False)
    progress.finish()
    place = np.full(len(world.items), -1, np.int64)
    place[rows] = np.arange(len(rows))
    known = place[clicks.item] >= 0
    pairs = Pairs(clicks.query[known], place[clicks.item[known]], np.sqrt(clicks.weight[known]))
    return fit(queries, items, pairs, options, progress)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Chosen items: rows of the query vectors, rows of the item vectors, weights."""

    query: Rows
    item: Rows
    weight: Floats

    def of(self, queries: NDArray[np.bool_]) -> Pairs:
        keep = queries[self.query]
        return Pairs(self.query[keep], self.item[keep], self.weight[keep])


def fit(
    queries: Floats,
    items: Floats,
    pairs: Pairs,
    options: AdapterOptions | None = None,
    progress: Progress | None = None,
) -> tuple[Adapter | None, AdapterFacts]:
    """The training itself, on vectors: `queries` (n, d), `items` (m, d), both of length 1."""
    options, progress = options or AdapterOptions(), progress or NoProgress()
    rng = np.random.default_rng(options.seed)
    learned, stop, judge = apart(len(queries), pairs, options.held_out, rng)
    if not (len(learned.item) and len(stop.item) and len(judge.item)):
        return None, _refused(len(queries), "too few queries to keep some apart")
    adapter = Adapter.start(queries.shape[1], options.rank, rng)
    best, steps = _learn(adapter, (queries, items), (learned, stop), options, progress)
    before = _reciprocal_ranks(queries, items, judge)
    after = _reciprocal_ranks(best.apply(queries, query=True), best.apply(items, query=False), judge)
    gain = paired(after, before, rng)
    facts = AdapterFacts(
        queries=len(queries),
        items=len(items),
        steps=steps,
        before=float(before.mean()),
        after=float(after.mean()),
        gain=gain.mean,
        low=gain.low,
        high=gain.high,
        kept=gain.better,
        why="" if gain.better else "the interval of its gain holds 0",
    )
    return (best if gain.better else None), facts


def apart(n_queries: int, pairs: Pairs, held_out: float, rng: np.random.Generator) -> tuple[Pairs, Pairs, Pairs]:
    """(to learn from, to stop by, to judge by): no query is in two of them."""
    part = rng.random(n_queries)
    judged = (part >= held_out / 2) & (part < held_out)
    return pairs.of(part >= held_out), pairs.of(part < held_out / 2), pairs.of(judged)


def _learn(
    adapter: Adapter,
    vectors: tuple[Floats, Floats],
    parts: tuple[Pairs, Pairs],
    options: AdapterOptions,
    progress: Progress,
) -> tuple[Adapter, int]:
    """Steps until the queries kept apart for stopping gain no more; (the best correction, steps taken)."""
    queries, items = vectors
    learned, stop = parts
    rng = np.random.default_rng(options.seed + 1)
    reach = np.cumsum(learned.weight, dtype=np.float64)
    strangers = queries[rng.integers(0, len(queries), 1_000)], items[rng.integers(0, len(items), 1_000)]
    temperature = float(np.einsum("ij,ij->i", *strangers).std()) / options.sharpness
    adams = [_Adam(getattr(adapter, name)) for name in PARTS]
    best, best_score, waited, step = _copy(adapter), float(_reciprocal_ranks(queries, items, stop).mean()), 0, 0
    progress.start("adapt the encoder", options.steps)
    while step < options.steps and waited < options.patience:
        drawn = np.searchsorted(reach, rng.random(options.batch) * reach[-1], side="right")
        drawn = np.minimum(drawn, len(reach) - 1)
        other = rng.integers(0, len(items), options.strangers)
        rows = np.concatenate([learned.item[drawn], other])
        asked = learned.query[drawn]
        same = (asked[:, None] == np.concatenate([asked, np.full(len(other), -1)])[None, :]) | (
            rows[: len(asked), None] == rows[None, :]
        )
        np.fill_diagonal(same, val=False)
        for adam, gradient in zip(
            adams, _gradients(adapter, queries[asked], items[rows], same, temperature), strict=True
        ):
            adam.step(gradient, options.rate)
        step += 1
        progress.advance()
        if step % 50 == 0:
            now = adapter.apply(queries, query=True), adapter.apply(items, query=False)
            score = float(_reciprocal_ranks(*now, stop).mean())
            waited += 1
            if score > best_score:
                best, best_score, waited = _copy(adapter), score, 0
    progress.finish()
    return best, step


def _gradients(
    adapter: Adapter, left: Floats, right: Floats, same: NDArray[np.bool_], temperature: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Of InfoNCE from query i to item i among all items of the step, in the order of `PARTS`."""
    count = len(left)
    inner_left: Floats = left @ adapter.query_down
    inner_right: Floats = right @ adapter.item_down
    sum_left: Floats = np.asarray(left + inner_left @ adapter.query_up, np.float32)
    sum_right: Floats = np.asarray(right + inner_right @ adapter.item_up, np.float32)
    a, b = unit(sum_left), unit(sum_right)
    logits = (a @ b.T) / np.float32(temperature)
    logits[same] = -1e9
    pull = np.exp(logits - logits.max(axis=1, keepdims=True))
    pull /= pull.sum(axis=1, keepdims=True)
    pull[np.arange(count), np.arange(count)] -= 1
    pull /= np.float32(count * temperature)
    to_left = _through_unit(pull @ b, a, sum_left)
    to_right = _through_unit(pull.T @ a, b, sum_right)
    down: tuple[Floats, Floats] = left.T @ (to_left @ adapter.query_up.T), right.T @ (to_right @ adapter.item_up.T)
    up: tuple[Floats, Floats] = inner_left.T @ to_left, inner_right.T @ to_right
    return down[0], up[0], down[1], up[1]


def _through_unit(gradient: Floats, made: Floats, before: Floats) -> Floats:
    """The gradient before rows were made length 1."""
    length = np.maximum(np.sqrt(np.einsum("ij,ij->i", before, before)), 1e-6)[:, None]
    out: Floats = (gradient - made * np.einsum("ij,ij->i", gradient, made)[:, None]) / length
    return out


def _reciprocal_ranks(queries: Floats, items: Floats, pairs: Pairs) -> Doubles:
    """1 / rank of the best placed chosen item of each query, among all items; one value a query."""
    asked, which = np.unique(pairs.query, return_inverse=True)
    best = np.zeros(len(asked))
    for low in range(0, len(asked), 512):
        scores = queries[asked[low : low + 512]] @ items.T
        mine = np.flatnonzero((which >= low) & (which < low + 512))
        own = np.full(len(scores), -np.inf, np.float32)
        np.maximum.at(own, which[mine] - low, scores[which[mine] - low, pairs.item[mine]])
        above = (scores > own[:, None]).sum(axis=1)
        tied = (scores == own[:, None]).sum(axis=1)
        best[low : low + 512] = 1.0 / (above + (tied + 1) / 2)
    return best


class _Adam:
    """Adam on one dense array, changed in place."""

    def __init__(self, values: Floats) -> None:
        self._values, self._first, self._second, self._times = values, np.zeros_like(values), np.zeros_like(values), 0

    def step(self, gradient: Floats, rate: float) -> None:
        self._times += 1
        self._first += np.float32(0.1) * (gradient - self._first)
        self._second += np.float32(0.01) * (gradient * gradient - self._second)
        size = np.sqrt(self._second / np.float32(1 - 0.99**self._times)) + np.float32(1e-8)
        self._values -= np.float32(rate / (1 - 0.9**self._times)) * self._first / size


def _copy(adapter: Adapter) -> Adapter:
    return Adapter(*(getattr(adapter, name).copy() for name in PARTS))


def _chosen_and_others(clicks: Clicks, n_items: int, most: int, rng: np.random.Generator) -> Rows:
    """Items to encode, ascending: those chosen (by chance where there are too many), then others."""
    chosen = np.unique(clicks.item)
    if len(chosen) >= most:
        return np.sort(rng.choice(chosen, most, replace=False))
    others = np.setdiff1d(np.arange(n_items), chosen)
    drawn = rng.choice(others, min(len(others), most - len(chosen)), replace=False)
    return np.sort(np.concatenate([chosen, drawn])).astype(np.int64)


def _encoded(encoder: Encoder, texts: Sequence[str], progress: Progress, *, query: bool) -> Floats:
    out: list[Floats] = []
    for low in range(0, len(texts), 512):
        out.append(np.asarray(encoder.encode(texts[low : low + 512], query=query), np.float32))
        progress.advance(len(out[-1]))
    return np.concatenate(out)


def _refused(queries: int, why: str) -> AdapterFacts:
    return AdapterFacts(queries, 0, 0, float("nan"), float("nan"), 0.0, 0.0, 0.0, kept=False, why=why)
