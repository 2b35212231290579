"""Which items are like what is meant, in all that is known of them? Nearest vectors of the learned item profiles.

Every item is one vector of its text, words, attributes, picture and behaviour, learned so that what people want
together lies near (`understanding.profile`). Around items (home, similar) the seeds become one direction, as in
`dense`; words, a photo, or both are put into the same space by the same projections. An item that came after the last
learn gets its vector when it comes, of what it has: no behaviour, perhaps no picture. How much each part had to say is
kept for every item.
Cost: 12,000 items about a minute to learn; a question as `dense`, a new item about 1 ms with the shop's own encoder.
Not for: exact names and numbers (`lexical`), the order in which things are wanted (`transition`, `sequential`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import msgspec
import numpy as np

from bodega.errors import BodegaError, NotLearned
from bodega.protocols import Encoder, EncoderInfo, PictureVectors, Training
from bodega.retrieval._behaviour import HELD, Behaviour, Wishes
from bodega.retrieval._index import load_facts, save_facts
from bodega.retrieval._likeness import Likeness, led_by, likeness, towards
from bodega.retrieval._neural.svd import leading
from bodega.retrieval._vectors import VectorIndex
from bodega.schema import Candidates, Context, ItemTable, World
from bodega.schema.arrays import Flags, Floats, Ints
from bodega.schema.table import mapped
from bodega.understanding.graph.building import given
from bodega.understanding.profile import (
    MODALITIES,
    Bags,
    Inputs,
    Lesson,
    Pairs,
    ProfileFacts,
    ProfileModel,
    ProfileOptions,
    train,
)
from bodega.understanding.profile.reading import Reader
from bodega.understanding.text._signals import clicks_of
from bodega.understanding.text.adapters import load_kept

SEARCH = "search"
LINKED = 0.25
"""Share of what is learned from that links given by the shop may have, where shoppers teach, too."""
LONGEST_QUERY = 1_000
PAUSE = 15.0
"""Seconds that an encoder which failed is left alone."""


class _Kind(msgspec.Struct, frozen=True):
    """What is saved as facts."""

    encoder: tuple[str, int, str, tuple[str, ...], str] | None
    pictures: str
    """Digest of the image encoder; "" without one."""
    learned: ProfileFacts
    decay: float
    format: int = 1


@runtime_checkable
class _Kept(Protocol):
    """An encoder that is saved with the source, because it was learned from this shop."""

    def save(self, folder: Path) -> None: ...


@dataclass(frozen=True, slots=True)
class Senses:
    """What a profile reads with, chosen by `wiring`."""

    encoder: Callable[[World], Encoder | None] = lambda _: None
    """The encoder of texts, the shop's own or a pretrained one; None: words alone."""
    reopen: Callable[[EncoderInfo], Encoder] | None = None
    """Finds a pretrained encoder again when the source is loaded."""
    pictures: PictureVectors | None = None
    """What the picture job has read."""


class Profile:
    """Answers: home (from the history), similar and together (from the anchors), search (words, a photo, both).
    Needs: titles; better with attributes, pictures, events. Good for: rare and new items, similar items, photos.
    Not for: what is bought again, what comes next. Cost: see the top of the file; 2 bytes a direction and item.
    Relations: `dense` knows the text alone; `transition` the behaviour alone. Paper: see `understanding.profile`.
    """

    name = "profile"

    def __init__(
        self,
        senses: Senses | None = None,
        options: ProfileOptions | None = None,
        *,
        decay: float = 0.5,
        lesson: Callable[[Lesson], Lesson] = lambda lesson: lesson,
    ) -> None:
        """`decay`: weight of a seed for each step before the newest; `lesson` may add to what is learned from."""
        self.senses = senses or Senses()
        self.options = options or ProfileOptions()
        self.training = Training()
        self.info: EncoderInfo | None = None
        """The text encoder; None without one."""
        self.notes: tuple[str, ...] = ()
        self.facts: ProfileFacts | None = None
        self.decay = decay
        self._lesson = lesson
        self._reader: Reader | None = None
        self._model = ProfileModel({}, {})
        self._index = VectorIndex.build(np.zeros((0, 1), np.float32))
        self._gates: Floats = np.zeros((0, len(MODALITIES)), np.float32)
        self._middle: Floats = np.zeros(1, np.float32)
        """Nothing is taken out of a direction here, as `dense` has to: the contrast saw to that (log, 2026-11-22)."""
        self._looked = ""
        self._main: Profile | None = None
        self._last: tuple[str, Floats, Floats | None] = ("", np.empty(0, np.float32), None)
        self._failed: tuple[float, str] = (0.0, "")
        self._latest: tuple[Context, Likeness | None] | None = None

    def fit(self, world: World) -> Self:
        """Read the catalog and the log, learn, and give every item its vector. Raises what the encoder raises."""
        encoder, pictures = self.senses.encoder(world), self.senses.pictures
        self.info = encoder.info if encoder is not None else None
        reader = Reader.learn(world.items, encoder, pictures)
        plain = reader.items(world.items)
        done = Behaviour.of(world.log, len(world.items), self.options.dimensions, seed=self.options.seed)
        model, self.facts = train(
            self._lesson(self._taught(world, reader, plain, done)), self.options, self.training.progress
        )
        self._reader, self._model, self._main = reader, model, None
        self._looked = pictures.info.digest if pictures is not None and pictures.info is not None else ""
        made = model.encode(_placed(plain, done.whole.vectors, done.whole.events) if done is not None else plain)
        self._index, self._gates = VectorIndex.build(made.vectors), made.gates
        self.notes = self._index.notes
        self._settle()
        return self

    def _taught(self, world: World, reader: Reader, plain: Inputs, done: Behaviour | None) -> Lesson:
        size = self.options.dimensions
        start = {}
        for name, bags in plain.bags.items():
            if bags.nnz and min(bags.shape) > 1:
                axes, values = leading(bags.T.tocsr(), size, seed=self.options.seed)
                known = values > 1e-6
                start[name] = (axes[:, known] * values[known] ** np.float32(-0.5)).astype(np.float32)
        clicks = clicks_of(world.log)
        queries = reader.texts(clicks.texts) if clicks.texts else None
        asked = Pairs(clicks.query, clicks.item, np.sqrt(clicks.weight), np.zeros(len(clicks.item), np.int64))
        together, held = linked(world.items, self.options.seed)
        lesson = Lesson((plain,), together, queries, asked, _twins(plain), held, plain, start)
        if done is None:
            return lesson
        wished = [_pairs(own, half) for half, (_, own) in enumerate(done.halves)]
        every = wished[0].beside(wished[1])
        return replace(
            lesson,
            items=tuple(_placed(plain, half.vectors, half.events) for half, _ in done.halves),
            together=every.beside(together.at_most(LINKED, every)),
            held=_pairs(done.rest, 1),
            judged=_placed(plain, done.taught.vectors, done.taught.events),
        )

    def beside(self, table: ItemTable) -> Profile:
        """A small source of other items (new or changed ones), read now, of what they have. Item numbers are those of
        `table`; scores compare with this one's. Cost: one encoding an item."""
        small = Profile(self.senses, self.options, decay=self.decay)
        small.info, small.facts, small._main = self.info, self.facts, self
        small._model, small._reader = self._model, self._reader
        if self._reader is not None and len(table):
            try:
                made = self._model.encode(self._reader.items(table))
                small._index, small._gates = VectorIndex.build(made.vectors), made.gates
            except BodegaError as error:
                small._reader, small.notes = None, (_note(error),)
        return small

    def retrieve(self, context: Context, k: int) -> Candidates:
        """The k items nearest to what is asked; none where nothing is."""
        return self.within(context, None, k)

    def within(self, context: Context, keep: Flags | None, k: int) -> Candidates:
        """The k nearest items of which `keep` (bool, (n_items,)) holds."""
        like = self._like(context)
        if like is not None:
            return Candidates.of(self.name, *like.nearest(self._index, k, keep))
        question = self.question(context.query, context.picture)
        if question is None:
            return Candidates.none(self.name)
        return Candidates.of(self.name, *self._index.search(question, k, keep))

    def score(self, context: Context, items: Ints) -> Floats:
        """Cosine of what is asked and each item, (len(items),); NaN where nothing is known of either."""
        like = self._like(context)
        if like is not None:
            return like.scores(self._index, np.asarray(items, np.int32))
        question = self.question(context.query, context.picture)
        if question is None:
            return np.full(len(items), np.nan, np.float32)
        return self._index.scores(question, np.asarray(items, np.int32))

    def because(self, context: Context, items: Ints, limit: int) -> Ints:
        """The seeds nearest to each item (see `protocols.Explains`); nothing where words or a photo were asked."""
        like = self._like(context)
        if like is None:
            return np.full((len(items), limit), -1, np.int32)
        return led_by(like, self._index, np.asarray(items, np.int32), limit)

    def question(self, query: str, picture: Floats) -> Floats | None:
        """What is asked, (d,) of length 1; None where it says nothing or nobody can read it now."""
        if self._main is not None:
            return self._main.question(query, picture)
        query, reader = query.strip()[:LONGEST_QUERY], self._reader
        if "image" not in self._model.projections or not picture.any():
            picture = np.empty(0, np.float32)
        if reader is None or (not query and not len(picture)) or self.trouble:
            return None
        last = self._last
        if last[0] != query or not np.array_equal(last[1], picture):
            try:
                vector = self._model.encode(reader.asked(query, picture)).vectors[0]
            except BodegaError as error:
                self._failed = (time.monotonic() + PAUSE, _note(error))
                return None
            last = (query, picture.copy(), vector if vector.any() else None)
            self._last = last  # one reference swapped at once: threads see the old or the new one
        return last[2]

    def gates(self, rows: Ints) -> list[Mapping[str, float]]:
        """How much each modality had to say about these items: parts of 1, the largest first."""
        return [
            {MODALITIES[place]: round(float(own[place]), 3) for place in np.argsort(-own, kind="stable") if own[place]}
            for own in np.asarray(self._gates[rows], np.float32)
        ]

    def mixed(self) -> dict[str, Any]:
        """How it was learned, for the manifest: mean gates, pairs, how far from the start."""
        return {} if self.facts is None else msgspec.to_builtins(msgspec.structs.replace(self.facts, seconds=0.0))

    @property
    def modalities(self) -> tuple[str, ...]:
        """What the profiles were learned of."""
        return self._model.modalities

    def looking(self, world: World, *names: str) -> Profile:
        """The same model, looking at the catalog through these modalities alone: what each is worth."""
        assert self._reader is not None, "fit first"
        plain = self._reader.items(world.items)
        done = Behaviour.of(world.log, len(world.items), self.options.dimensions, seed=self.options.seed)
        whole = _placed(plain, done.whole.vectors, done.whole.events) if done is not None else plain
        less = Profile(self.senses, self.options, decay=self.decay)
        less.info, less.facts, less._model, less._reader = self.info, self.facts, self._model, self._reader
        made = self._model.encode(whole.only(*names))
        less._index, less._gates = VectorIndex.build(made.vectors), made.gates
        less._settle()
        return less

    @property
    def working(self) -> bool:
        """Can it read a text?"""
        return self._reader is not None and bool(self._model.projections)

    @property
    def trouble(self) -> str:
        """Why queries are not read at this moment (an endpoint that failed a moment ago); "" when they are."""
        until, note = self._failed
        return note if time.monotonic() < until else ""

    @property
    def vectors(self) -> VectorIndex:
        """The vectors of the items, for who else needs them."""
        return self._index

    def __len__(self) -> int:
        return len(self._index)

    def _like(self, context: Context) -> Likeness | None:
        """What is asked around items; None where words or a photo are asked, or nothing that has a vector."""
        if context.place == SEARCH or context.query.strip() or len(context.picture):
            return None
        if self._main is not None:  # newer items are compared with seeds of the snapshot, and are none themselves
            like = self._main._like(context)
            return None if like is None else like.elsewhere()
        latest = self._latest
        if latest is None or latest[0] is not context:
            latest = (context, likeness(self._index, self._middle, context, self.decay))
            self._latest = latest
        return latest[1] or self._described(context)

    def _described(self, context: Context) -> Likeness | None:
        """Where no item says what is meant: the texts that stand for items which are not here, the newest heaviest."""
        nothing = np.empty(0, np.float32)
        asked = (self.question(text, nothing) for text in context.like[::-1])
        vectors = [vector for vector in asked if vector is not None]
        weights = self.decay ** np.arange(len(vectors), dtype=np.float32)
        return towards(np.stack(vectors), weights, self._middle) if vectors else None

    def save(self, folder: Path) -> None:
        """Vectors, gates, the model and what reads for it, and the encoder where it was learned from this shop."""
        assert self._reader is not None, "fit first"
        assert self.facts is not None
        for name in ("index", "model"):
            (folder / name).mkdir()
        self._index.save(folder / "index")
        self._model.save(folder / "model")
        np.save(folder / "gates.npy", np.rint(self._gates * 255).astype(np.uint8))
        self._reader.words.save(folder, "words")
        self._reader.values.save(folder, "values")
        info = self.info
        encoder: object = self._reader.encoder
        told = (info.name, info.dimensions, info.digest, info.languages, info.origin) if info is not None else None
        facts = msgspec.structs.replace(self.facts, seconds=0.0)
        save_facts(folder, _Kind(told, self._looked, facts, self.decay))
        if isinstance(encoder, _Kept):
            (folder / "encoder").mkdir()
            encoder.save(folder / "encoder")

    @classmethod
    def load(cls, folder: Path, items: ItemTable, senses: Senses | None = None) -> Self:
        """Memory-map what `save` wrote and open the encoder. Without it, words and pictures are still read; pictures of
        another image encoder than the one it was learned with are not."""
        del items
        kind = load_facts(folder, _Kind)
        found = cls(senses, decay=kind.decay)
        found.facts, found._looked = kind.learned, kind.pictures
        found.info = EncoderInfo(*kind.encoder) if kind.encoder is not None else None
        found._index, found._model = VectorIndex.load(folder / "index"), ProfileModel.load(folder / "model")
        found._gates = mapped(folder / "gates.npy").astype(np.float32) / np.float32(255)
        found.notes = found._index.notes
        pictures = found.senses.pictures
        if pictures is not None and (pictures.info is None or pictures.info.digest != found._looked):
            pictures = None
        words, values = Bags.load(folder, "words"), Bags.load(folder, "values")
        found._reader = Reader(words, values, found._opened(folder / "encoder"), pictures)
        found._settle()
        return found

    def _opened(self, folder: Path) -> Encoder | None:
        if self.info is None:
            return None
        try:
            encoder: Encoder = load_kept(folder, self._again) if folder.is_dir() else self._again()
        except BodegaError as error:
            self.notes = (*self.notes, _note(error))
            return None
        if (encoder.info.dimensions, encoder.info.digest) != (self.info.dimensions, self.info.digest):
            self.notes = (*self.notes, f"profile: the encoder {self.info.name} is another one now; next: bodega learn")
            return None
        return encoder

    def _again(self) -> Encoder:
        if self.senses.reopen is None or self.info is None:
            raise NotLearned("nobody told how to open this encoder", where=self.name, next="bodega learn")
        return self.senses.reopen(self.info)

    def _settle(self) -> None:
        self._last, self._failed = ("", np.empty(0, np.float32), None), (0.0, "")
        self._latest = None
        self._middle = np.zeros(self._index.dimensions, np.float32)


def linked(items: ItemTable, seed: int) -> tuple[Pairs, Pairs]:
    """Pairs that the shop itself links (`Item.links`): to learn from, and (those of a tenth of the items) to judge."""
    parts = [edges for _, edges in sorted(given(items).items())]
    if not parts:
        return Pairs.none(), Pairs.none()
    left = np.concatenate([edges.row for edges in parts]).astype(np.int64)
    right = np.concatenate([edges.col for edges in parts]).astype(np.int64)
    weight = np.concatenate([edges.data for edges in parts]).astype(np.float32)
    every = Pairs(left, right, weight, np.zeros(len(left), np.int64))
    judge = np.random.default_rng([seed, 5]).random(len(items))[left] < HELD
    return every.where(~judge), every.where(judge)


def _pairs(own: Wishes, half: int) -> Pairs:
    """Taught with the places of the other half."""
    return Pairs(own.left, own.right, own.weight, np.full(len(own.left), 1 - half, np.int64))


def _placed(inputs: Inputs, vectors: Floats, events: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Inputs:
    """The inputs with where items stand among what people want together."""
    return Inputs.of(inputs.size, {**inputs.dense, "behaviour": vectors}, inputs.bags, events)


def _twins(inputs: Inputs) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The first item with the same words and values, (n_items,)."""
    first: dict[bytes, int] = {}
    keys = []
    for row in range(len(inputs)):
        parts = [bags.indices[bags.indptr[row] : bags.indptr[row + 1]].tobytes() for bags in inputs.bags.values()]
        keys.append(first.setdefault(b"|".join(parts), row))
    return np.asarray(keys, np.int64)


def _note(error: BodegaError) -> str:
    return ". ".join(part for part in (f"profile: {error.what}", f"next: {error.next}" if error.next else "") if part)
