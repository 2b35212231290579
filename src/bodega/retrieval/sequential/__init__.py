"""What comes next, given everything in its order? A network reads the newest steps of a history and points at items.

    options   what can be set            vectors   what an item's vector is made of
    shapes    which arrays there are     learning  what a step learns from      (torch)
    nets      four encoders              (torch)   serving  the same four       (numpy)

An item's vector is its own row plus what the catalog says of it; the state after the newest step is compared with all
of them by one matrix product. Learned in torch (`retrieval._neural.loop`), answered without it.
Cost: Beauty 150 CPU s to learn, about 1 ms a request. Not for: a shop's first days (`content`, `popular`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bodega.protocols import Training
from bodega.retrieval._index import load_facts, save_facts, top_k
from bodega.retrieval._neural import require_torch
from bodega.retrieval._neural.sequences import Sequences, collapsed
from bodega.retrieval._neural.weights import Arrays, load_weights, save_weights
from bodega.retrieval.sequential.options import SequentialOptions
from bodega.retrieval.sequential.serving import Reader
from bodega.retrieval.sequential.shapes import encoder_shapes
from bodega.retrieval.sequential.vectors import Material
from bodega.schema import EVENT_CODES, Candidates, Context, ItemTable, World
from bodega.schema.arrays import NO_INTS, Codes, Flags, Floats, Ints
from bodega.schema.table import mapped

__all__ = ["Sequential", "SequentialOptions"]

BASKET_PLACES = frozenset({"together", "basket"})
"""Where the anchors lie in a basket: they are read as put there, elsewhere as looked at."""


class Sequential:
    """A sequence model over items: causal Transformer by default, GRU, CNN or gated attention by choice.

    Answers: home (from the history), similar, together, basket (the anchors are read as the newest steps).
    Needs: events, some thousand; the extra `neural` to learn, nothing to answer. Good for: the next step of long and
    short histories, items that people have in common with nobody's. Not for: shoppers without any history.
    Cost: see the top of the file; d x 4 bytes an item. Relations: `transition` reads the same order by counting and
    errs elsewhere, so their sum is better than both. Paper: Kang & McAuley 2018 (SASRec); the start from co-occurrence,
    shared negatives and side information are ours to have measured (docs/decisions/0021-sequential.md).
    """

    name = "sequential"

    def __init__(self, options: SequentialOptions | None = None) -> None:
        self.options = options or SequentialOptions()
        self.training = Training()
        self.notes: tuple[str, ...] = ()
        """How the last `fit` went, where that matters: a warm start, nothing to learn from."""
        self.curve: dict[str, tuple[float, ...]] = {}
        """Of the last `fit`, one number an epoch: `loss`, and `ndcg@10` of what was held out where learning may stop
        early."""
        self._learned: Arrays = {}
        self._vectors: Floats = np.zeros((0, self.options.dimensions), np.float32)
        self._known: Flags = np.zeros(0, np.bool_)
        self._reader: Reader | None = None
        self._latest: tuple[Context, Floats] | None = None

    def fit(self, world: World) -> Self:
        """Raises MissingExtra where torch is not installed and there is anything to learn."""
        self._latest, self.notes, self.curve = None, (), {}
        sequences = Sequences.of(world.log, seed=self.options.seed)
        material = Material.of(world.items, sequences, self.options)
        if not np.any(sequences.lengths > 1):
            self.notes = ("sequential: silent, no shopper has two events yet",)
            tables = material.cold_start()
            self._take(tables, material.vectors(tables), np.zeros(len(world.items), np.bool_))
            return self
        require_torch("learning the sequential source")
        from bodega.retrieval.sequential.learning import learn

        start, warm = material.cold_start(), None
        if self.options.warm and self.training.previous is not None and self.training.known is not None:
            warm = material.warm_start(self.training.previous, self.training.known)
            if warm is not None:
                self.notes = (f"sequential: started from the last snapshot, {self.options.warm:.0%} of the epochs",)
        trained = learn(material, warm or start, self.training, warm=warm is not None)
        self.curve = {"loss": trained.losses} | ({"ndcg@10": trained.judged} if trained.judged else {})
        known = material.described & self.options.cold
        known[material.known] = True
        self._take(trained.weights, material.vectors(trained.weights), known)
        return self

    def retrieve(self, context: Context, k: int) -> Candidates:
        scores = self._scores(context)
        best = top_k(scores, k)
        return Candidates.of(self.name, best, scores[best])

    def score(self, context: Context, items: NDArray[np.int32]) -> NDArray[np.float32]:
        return self._scores(context)[items]

    def because(self, context: Context, items: NDArray[np.int32], limit: int) -> NDArray[np.int32]:
        """The steps whose vectors are nearest to each item's, nearest first (see `protocols.Explains`).

        Approximate: a network has no exact shares. Items near each other are those that people want together.
        """
        out = np.full((len(items), limit), -1, np.int32)
        steps = np.unique(self._steps(context)[0])
        if len(steps) and len(items):
            seeds = self._vectors[steps]
            near = self._vectors[items] @ (seeds / np.maximum(np.linalg.norm(seeds, axis=1, keepdims=True), 1e-12)).T
            order = np.argsort(-near, axis=1, kind="stable")[:, :limit]
            chosen = np.take_along_axis(near, order, 1)
            out[:, : order.shape[1]] = np.where(chosen > 0, steps[order], -1)
        return out

    def save(self, folder: Path) -> None:
        save_weights(folder, {**self._learned, "vectors": self._vectors})
        np.save(folder / "known.npy", self._known)
        save_facts(folder, self.options)

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        """Raises SnapshotCorrupt: a file that is missing, has another shape, or holds NaN."""
        source = cls(load_facts(folder, SequentialOptions))
        encoder = encoder_shapes(source.options)
        arrays = load_weights(folder, encoder | {"vectors": (len(items), source.options.dimensions)})
        vectors = arrays.pop("vectors")
        source._take(arrays, vectors, mapped(folder / "known.npy"))
        return source

    def _take(self, learned: Arrays, vectors: Floats, known: Flags) -> None:
        self._learned = {name: array for name, array in learned.items() if name != "item"}
        self._vectors, self._known = vectors, known
        encoder = {name: learned[name] for name in encoder_shapes(self.options)}
        self._reader = Reader(self.options, encoder)

    def _scores(self, context: Context) -> Floats:
        """One score an item, NaN where nothing is known and for the anchors; kept for the latest context."""
        if self._latest is not None and self._latest[0] is context:
            return self._latest[1]
        scores = np.full(len(self._vectors), np.nan, np.float32)
        read, actions = self._steps(context)
        if len(read) and self._reader is not None:
            x = self._vectors[read] * np.float32(self.options.dimensions**0.5)
            weights = self._reader.weights
            state = self._reader.state(x + weights["position"][: len(read)] + weights["action"][actions])
            scores = np.where(self._known, self._vectors @ state, np.float32(np.nan))
            scores[context.items] = np.nan
        self._latest = (context, scores)
        return scores

    def _steps(self, context: Context) -> tuple[Ints, Codes]:
        """The newest steps that are known, as rows were when learning: the history, then the anchors."""
        keep = collapsed(context.history, context.times)
        anchor = EVENT_CODES["cart" if context.place in BASKET_PLACES else "view"]
        items = np.concatenate([context.history[keep], context.items])
        actions = np.concatenate([context.actions[keep], np.full(len(context.items), anchor, np.int8)])
        known = self._known[items] if len(self._known) else np.zeros(len(items), np.bool_)
        if not known.any():
            return NO_INTS, actions[:0]
        return items[known][-self.options.newest :], actions[known][-self.options.newest :]
