"""What will this shopper want next? Written code by code: a list of items nobody had to be compared with.

Other sources compare the shopper with items; this one writes the id of the next item, three codes and a digit, with a
beam that cannot leave the catalog. Items that are alike have ids that are alike, so what is learned about one is known
of its neighbours, and an item that nobody has touched has an id too: from its text alone.
Cost: Beauty (22,363 shoppers, 12,101 items) 210 CPU s to learn on one core, 2.3 ms a request, in numpy.
Not for: a shop with hardly any events (it stays silent), or an exact reason (`because` is an approximation).
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.errors import MissingExtra
from bodega.protocols import Training
from bodega.retrieval._index import load_facts, save_facts, top_k
from bodega.retrieval._neural.sequences import Sequences
from bodega.retrieval._neural.weights import Arrays, load_weights, save_weights
from bodega.retrieval.generative._beam import NOTHING, Written, search
from bodega.retrieval.generative._content import unit
from bodega.retrieval.generative._ids import Quantise, SemanticIds, kmeans
from bodega.retrieval.generative._lesson import OWN, Lesson
from bodega.retrieval.generative._network import Decoder, Depth, Size, shapes, step_vectors, timeline
from bodega.retrieval.generative._steps import Language, Steps, read, words_of
from bodega.retrieval.generative._t5 import EncoderDecoder
from bodega.retrieval.generative._trie import NEW, Trie
from bodega.retrieval.generative.options import REPEATS, GenerativeOptions
from bodega.schema import Candidates, Context, ItemTable, World
from bodega.schema.arrays import NO_INTS, Flags, Floats, Ints

FEWEST = 20
"""Guesses in the log from which there is anything to learn."""


class _Facts(msgspec.Struct, frozen=True):
    options: GenerativeOptions
    size: Size
    books: tuple[int, int, int]
    layers: tuple[tuple[int, int], ...]
    repeats: bool
    n_items: int
    taught: bool


class Generative:
    """Writes the next item's semantic id.

    Answers: home (from history and searches), similar, together, basket (anchors are the newest steps), search (the
    query is the newest step). Needs: some thousand events, the extra `neural` to learn (not to answer).
    Good for: what comes next, new items, tail items that are like others. Not for: a handful of events.
    Cost: see the top of the file; 12 MB for Beauty. Relations: `transition` knows pairs exactly, `content` words;
    this generalises over both. `score` is the log-probability of an item that the beam reaches, plus `rescoring` x
    state x item vector; NaN of all others.
    Paper: Rajput et al. 2023 (TIGER); the depth decoder at every position is ours, 10 times cheaper to teach.
    """

    name = "generative"

    def __init__(self, options: GenerativeOptions | None = None) -> None:
        self.options = options or GenerativeOptions()
        self.training = Training()
        self.curve: dict[str, tuple[float, ...]] = {}
        """Mean loss of each epoch of the last `fit`."""
        self.repeats = False
        """May what the shopper has be generated again?"""
        self._taught = False
        self._items: ItemTable | None = None
        self._language = Language()
        self._trie = _nothing(self.options)
        self._latest: tuple[Context, Written] | None = None
        self._main: Generative | None = None
        """Set where this is the part that knows newer items: what was learned is the main part's."""

    def fit(self, world: World) -> Self:
        """Learn ids, then the network. Raises MissingExtra without torch."""
        self._latest, options = None, self.options
        self._items = world.items
        self._language = Language.of(world.log, options.people)
        wanted = Sequences.of(world.log, seed=options.seed)
        self._ids = SemanticIds.learn(world.items, wanted, options, _quantise(options))
        self._trie = Trie.of(self._ids.codes, self._ids.digit, self._ids.has_id, options.newcomers)
        again, guesses = _repeated(wanted)
        self.repeats = again >= REPEATS * max(guesses, 1) if options.repeats is None else options.repeats
        steps = Steps.of(world, self._language, seed=options.seed)
        lesson = Lesson(options, self._ids, steps, self._language, _digits_of(self._trie, len(world.items)))
        self._size = lesson.size
        self._taught = guesses >= FEWEST
        self._weights: Arrays
        self._weights, self.curve = _learned(lesson, self.training) if self._taught else (lesson.start(), {})
        own = self._weights.pop(OWN, np.zeros((1, options.dimensions), np.float32))
        self._settle(self._item_vectors(self._ids.vectors) + own)
        return self

    def retrieve(self, context: Context, k: int) -> Candidates:
        found = self._written(context)
        best = top_k(found.score, k)
        return Candidates.of(self.name, found.items[best], found.score[best])

    def score(self, context: Context, items: NDArray[np.int32]) -> NDArray[np.float32]:
        """Log-probability of each item's path plus the dense model's word; NaN where the beam does not reach it."""
        return self._written(context).of(np.asarray(items, np.int32))

    def because(self, context: Context, items: NDArray[np.int32], limit: int) -> NDArray[np.int32]:
        """The steps nearest to each item in the model's own space, nearest first: see `protocols.Explains`.

        An approximation: the state mixes all steps, and this asks which of them the item is most like.
        """
        main = self._main or self
        out = np.full((len(items), limit), -1, np.int32)
        steps = read(context, main._language, main.options.length).items if main._taught else NO_INTS
        steps = np.unique(steps[steps >= 0])
        near = unit(self._vectors[items]) @ unit(main._vectors[steps]).T if main._taught else np.empty((len(items), 0))
        best = np.argsort(-near, axis=1, kind="stable")[:, :limit]
        named = np.where(np.take_along_axis(near, best, axis=1) > 0, steps[best], -1)
        out[:, : named.shape[1]] = named
        return out

    def next_queries(self, context: Context, limit: int = 5) -> list[str]:
        """What this shopper will search next, likeliest first, of the queries that enough people have asked."""
        main = self._main or self
        states = main._states(context)
        if states is None or not main._size.n_queries:
            return []
        chance = (states[-1] @ main._weights["ask"].T) @ main._meant.T + main._weights["asked"]
        last = context.query or (context.searches[-1][1] if context.searches else "")
        now = main._language.known.get(" ".join(words_of(last)), -1)
        best = np.argsort(-chance, kind="stable")[: limit + 1]
        return [main._language.queries[row] for row in best.tolist() if row != now][:limit]

    def ids_for(self, items: ItemTable) -> tuple[Ints, Flags]:
        """Semantic ids from content alone: codes (n_items, levels), and which items say anything that is known."""
        codes, known, _ = (self._main or self)._ids.maker.of(items)
        return codes, known

    def beside(self, table: ItemTable) -> Generative:
        """The same model over items that came after it was learned; rows are those of `table`.

        What the snapshot knows already (a changed price) is left to the snapshot's own row.
        """
        main = self._main or self
        newer = type(self)(main.options)
        newer._main = main
        codes, known, vectors = main._ids.maker.of(table)
        if main._items is not None:
            known &= np.array([name not in main._items.index for name in table.ids], np.bool_)
        newer._trie = Trie.of(codes, np.full(len(codes), NEW, np.int32), known, main.options.newcomers, main._trie)
        digits = np.full((len(codes), 1), NEW, np.int32)
        newer._vectors = main._vectors_of(np.concatenate([codes, digits], axis=1), vectors)
        return newer

    def save(self, folder: Path) -> None:
        """Arrays and JSON. Raises BodegaError where training ended in NaN."""
        self._ids.save(folder)
        self._language.save(folder)
        save_weights(folder, {**self._weights, "vectors": self._vectors})
        quantiser = self._ids.maker.quantiser
        levels, n_codes, width = quantiser.books.shape
        layers = tuple((weight.shape[0], weight.shape[1]) for weight, _ in quantiser.layers)
        save_facts(
            folder,
            _Facts(
                self.options, self._size, (levels, n_codes, width), layers, bool(self.repeats),
                len(self._vectors), self._taught,
            ),
        )  # fmt: skip

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        """Memory-map what `save` wrote. Raises SnapshotCorrupt for weights of another shape, NaN or infinite ones."""
        facts = load_facts(folder, _Facts)
        source = cls(facts.options)
        source._items, source._size, source._taught, source.repeats = items, facts.size, facts.taught, facts.repeats
        source._language = Language.load(folder)
        source._ids = SemanticIds.load(folder, facts.n_items, facts.books, facts.layers)
        ids = source._ids
        source._trie = Trie.of(ids.codes, ids.digit, ids.has_id, facts.options.newcomers)
        wanted = shapes(facts.options, facts.size) | {"vectors": (facts.n_items, facts.options.dimensions)}
        held = load_weights(folder, wanted)
        vectors = held.pop("vectors")
        source._weights = held
        source._settle(vectors)
        return source

    def _written(self, context: Context) -> Written:
        if self._latest is not None and self._latest[0] is context:
            return self._latest[1]
        found = self._write(context)
        self._latest = (context, found)  # one reference swapped at once: threads see the old pair or the new one
        return found

    def _write(self, context: Context) -> Written:
        main, options = self._main or self, self.options
        states = main._states(context)
        if states is None:
            return NOTHING
        forbidden = NO_INTS
        if self._main is None:
            had = NO_INTS if self.repeats else context.history
            forbidden = np.unique(np.concatenate([had, context.items, context.disliked])).astype(np.int32)
        decoder: Decoder = (
            Depth(main._weights, states[-1])
            if options.decoder == "depth"
            else EncoderDecoder(main._weights, options, states)
        )
        found = search(self._trie, decoder, options.beam, options.leaves, forbidden)
        if options.rescoring and len(found.items):
            dense = self._vectors[found.items] @ states[-1]
            found = Written(found.items, found.score + np.float32(options.rescoring) * dense)
        return found

    def _states(self, context: Context) -> Floats | None:
        """The timeline's states, (n_steps, d); None where nothing was learned or nothing is known of the shopper."""
        if not self._taught:
            return None
        steps = read(context, self._language, self.options.length)
        if not len(steps):
            return None
        x = step_vectors(self._weights, self._vectors, steps)
        return timeline(self._weights, self.options, x, causal=self.options.decoder == "depth")

    def _settle(self, vectors: Floats) -> None:
        """What follows from the weights: nothing here is saved twice."""
        self._vectors = vectors
        bags = self._language.bags
        held = (bags >= 0).astype(np.float32)
        width = self.options.dimensions
        words = self._weights["words"] if self._size.n_words else np.zeros((1, width), np.float32)
        total = (words[np.maximum(bags, 0)] * held[..., None]).sum(axis=1)
        self._meant: Floats = (total / np.maximum(held.sum(axis=1), 1)[:, None]).astype(np.float32)

    def _item_vectors(self, own: Floats) -> Floats:
        digits = self._ids.digit[:, None]
        return self._vectors_of(np.concatenate([self._ids.codes, digits], axis=1), own)

    def _vectors_of(self, codes: Ints, own: Floats) -> Floats:
        """What the timeline reads of each item: the sum of its codes' embeddings, and its own vector turned."""
        out = np.zeros((len(codes), self.options.dimensions), np.float32)
        for level in range(codes.shape[1]):
            out += self._weights[f"code{level}"][np.maximum(codes[:, level], 0)]
        if self.options.side:
            out += own @ self._weights["side"]
        return out


def _learned(lesson: Lesson, training: Training) -> tuple[Arrays, dict[str, tuple[float, ...]]]:
    """Teach it: (its weights, {"loss": mean loss of each epoch}). The number of epochs follows from the size of the
    data, never from the clock."""
    try:
        from bodega.retrieval.generative._learning import taught
    except ImportError as error:
        raise MissingExtra.named("neural", needed_for="learning the generative source") from error
    trained = taught(lesson, training)
    return trained.weights, {"loss": trained.losses}


def _quantise(options: GenerativeOptions) -> Quantise:
    """What turns vectors into codes."""
    if options.ids == "kmeans":
        return kmeans
    try:
        from bodega.retrieval.generative._rqvae import autoencoded
    except ImportError as error:
        raise MissingExtra.named("neural", needed_for="semantic ids of an autoencoder") from error
    return autoencoded


def _nothing(options: GenerativeOptions) -> Trie:
    """The trie of a source that has not learned yet."""
    codes = np.empty((0, options.levels), np.int32)
    return Trie.of(codes, NO_INTS, np.empty(0, np.bool_), options.newcomers)


def _repeated(wanted: Sequences) -> tuple[int, int]:
    """(guesses whose answer the shopper had had before, all guesses)."""
    owner = np.repeat(np.arange(len(wanted)), wanted.lengths)
    pairs = np.unique(owner * np.int64(2**32) + wanted.items)
    return len(owner) - len(pairs), len(owner) - len(wanted)


def _digits_of(trie: Trie, n_items: int) -> Ints:
    """How many digits the leaf of each item has."""
    out = np.zeros(n_items, np.int32)
    known = trie.leaf_of >= 0
    out[known] = trie.old[trie.leaf_of[known]]
    return out
