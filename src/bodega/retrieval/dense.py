"""Which items mean what the shopper asks for, in whatever words? Nearest vectors of an encoder's passages.

Each item's passage (title first) is encoded once, at `fit`; a query is encoded when it is asked, and the items in its
direction are found by `_vectors`. The encoder comes from outside: our own static one, a package, a hub, an endpoint.
Where nothing is asked in words, the same vectors answer around items: what means the same as the anchors or as what
the shopper looked at last (`_likeness`); an item needs a title for that and no event at all.
What a cosine is worth differs from encoder to encoder and from query to query, so the source also knows its own chance
level (`floor`): neighbours below it are hardly nearer than items drawn at random.
Cost: one encoding an item at fit (25 microseconds to 10 ms, by encoder); a query: one encoding and .2 to 1 ms.
Not for: article numbers and exact names (`lexical`), or for items without words.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Protocol, Self, runtime_checkable

import msgspec
import numpy as np

from bodega.errors import BodegaError, NotLearned
from bodega.protocols import Encoder, EncoderInfo
from bodega.retrieval._likeness import HISTORY_DECAY, Likeness, led_by, likeness, middle_of, towards
from bodega.retrieval._vectors import VectorIndex
from bodega.schema import Candidates, Context, ItemTable, World
from bodega.schema.arrays import Flags, Floats, Ints
from bodega.understanding.text.adapters import load_kept
from bodega.understanding.text.passages import passage

BLOCK = 4_096
"""Passages encoded at a time."""
QUESTIONS = 256
"""Titles whose halves are asked at fit, to measure the index and the chance level."""
BACKGROUND = 1_024
"""Items that a query is compared with to see what chance gives."""
LONGEST_QUERY = 1_000
"""Characters of a query that are encoded."""
NEARLY = 0.85
"""Part of the way to the best neighbour above which nothing is cut."""
HALF_WAY = 0.5
"""The floor lies so far between a query's background and its best neighbour (docs/decisions/0013-vector-index.md)."""
SEARCH = "search"
"""The list where only words count: one without words that says only "under 50" is no question of meaning."""
PAUSE = 15.0
"""Seconds that an encoder which failed (an endpoint that is down) is left alone."""


class Near(NamedTuple):
    """Neighbours of a query, best first."""

    items: Ints
    cosines: Floats


class Chance(msgspec.Struct, frozen=True):
    """How near strangers are, and how near what belongs together: measured at fit, asking halves of titles.

    In standard deviations of the query's own background, because queries differ: to "black" everything is a little
    near, to "toner" little is. Quantiles, so that whoever cuts can choose; `Dense.floor` uses the second stranger.
    """

    strangers: tuple[float, ...] = (0.0,) * 3
    """What one stranger in ten, in a hundred, in a thousand passes."""
    own: tuple[float, ...] = (0.0,) * 3
    """What the own item of 99, 95 and 50 in a hundred halves passes."""


class _Facts(msgspec.Struct, frozen=True):
    name: str
    encoder: str
    dimensions: int
    digest: str
    languages: tuple[str, ...]
    origin: str
    chance: Chance
    format: int = 1


@runtime_checkable
class _Kept(Protocol):
    """An encoder that is saved with the source, because it was learned from this shop."""

    def save(self, folder: Path) -> None: ...


class Dense:
    """Answers: which items mean what this query says? Without words (home, similar): which mean what the seeds mean?
    Needs: an encoder; titles, brand, category, short attributes. Good for: synonyms, descriptions of a need, spellings
    and languages the catalog does not use, an empty word search, items that nobody has touched.
    Not for: numbers, exact names, telling "no such thing here" apart without its `floor`.
    Cost: see the top of the file; two bytes a direction and item.
    Relations: `retrieve` gives the k best of `score` exactly up to some thousand items, beyond it at least 97 % of
    them; `lexical` is its partner in every results page. Two encoders are two sources under two names.
    Paper: Karpukhin et al. 2020 (dense passage retrieval); Nigam et al. 2019 (product search).
    """

    name = "dense"

    def __init__(
        self,
        make: Callable[[World], Encoder] | None = None,
        *,
        name: str = "dense",
        reopen: Callable[[EncoderInfo], Encoder] | None = None,
    ) -> None:
        """`make` gives the encoder to fit with; `reopen` finds it again when the source is loaded."""
        self.name = name
        self.info: EncoderInfo | None = None
        """Which encoder the vectors are from; None before `fit`."""
        self.notes: tuple[str, ...] = ()
        """Why the source is silent, or slower than it could be, with what to do about it; empty when all is well."""
        self.chance = Chance()
        self._make = make
        self._reopen = reopen
        self._encoder: Encoder | None = None
        self._main: Dense | None = None
        self._index = VectorIndex.build(np.zeros((0, 1), np.float32))
        self._background: Floats = np.zeros((0, 1), np.float32)
        self._last: tuple[str, Floats | None] = ("", None)
        self._floor: tuple[Floats | None, float] = (None, 0.0)
        self._failed: tuple[float, str] = (0.0, "")
        self._latest: tuple[Context, Likeness | None] | None = None
        self._middle: tuple[Floats, Floats] | None = None

    def fit(self, world: World) -> Self:
        """Encode the catalog. Raises what `make` raises, and EndpointFailed where an endpoint fails meanwhile."""
        if self._make is None:
            raise NotLearned(
                "this source was opened from a snapshot and cannot make an encoder",
                where=f"{self.name}.fit",
                next="make a new one: Dense(make)",
            )
        encoder = self._make(world)
        self._encoder, self.info, self._main = encoder, encoder.info, None
        asked = halves(world.items, QUESTIONS)
        questions = encoder.encode([text for _, text in asked], query=True)
        self._index = VectorIndex.build(_encoded(encoder, world.items), questions)
        self.notes = self._index.notes
        self._background = self._index.vectors(_spread(len(self._index), BACKGROUND))
        self.chance = self._chance(questions, np.array([row for row, _ in asked], np.int32))
        self._settle()
        return self

    def beside(self, table: ItemTable) -> Dense:
        """A small source of other items (new or changed ones), encoded now; cosines compare with this one's. Item
        numbers are those of `table`. Silent where this one is. Cost: one encoding an item."""
        small = Dense(name=self.name, reopen=self._reopen)
        small.info, small.chance = self.info, self.chance
        small.notes = () if self.working else self.notes
        small._encoder, small._main, small._background = self._encoder, self, self._background
        if self._encoder is not None:
            try:
                small._index = VectorIndex.build(_encoded(self._encoder, table))
            except BodegaError as error:
                small._encoder, small.notes = None, (_note(self.name, error),)
        return small

    def retrieve(self, context: Context, k: int) -> Candidates:
        """The k items nearest to the query, or without one to the seeds; none where there is neither."""
        return self.within(context, None, k)

    def within(self, context: Context, keep: Flags | None, k: int) -> Candidates:
        """The k nearest items of which `keep` (bool, (n_items,)) holds: the filter is part of the search."""
        like = self._like(context)
        if like is not None:
            return Candidates.of(self.name, *like.nearest(self._index, k, keep))
        question = self.question(context.query)
        if question is None:
            return Candidates.none(self.name)
        items, cosines = self._index.search(question, k, keep)
        if keep is None and self._main is None and len(cosines) and len(self._background):
            self._floor = (question, self._floored(question, float(cosines[0])))  # the best is known: no other search
        return Candidates.of(self.name, items, cosines)

    def score(self, context: Context, items: Ints) -> Floats:
        """Cosine of query (without one: of the seeds) and item, (len(items),); NaN where either has no words that the
        encoder knows."""
        like = self._like(context)
        if like is not None:
            return like.scores(self._index, np.asarray(items, np.int32))
        question = self.question(context.query)
        if question is None:
            return np.full(len(items), np.nan, np.float32)
        return self._index.scores(question, np.asarray(items, np.int32))

    def because(self, context: Context, items: Ints, limit: int) -> Ints:
        """The seeds that mean most like each item (see `protocols.Explains`); nothing where words were asked."""
        like = self._like(context)
        if like is None:
            return np.full((len(items), limit), -1, np.int32)
        return led_by(like, self._index, np.asarray(items, np.int32), limit)

    def _like(self, context: Context) -> Likeness | None:
        """What is asked around items; None where words are asked, or nothing that has a vector."""
        if context.place == SEARCH or context.query.strip() or len(context.picture):
            return None
        if self._main is not None:  # newer items are compared with seeds of the snapshot, and are none themselves
            like = self._main._like(context)
            return None if like is None else like.elsewhere()
        latest = self._latest
        if latest is None or latest[0] is not context:  # one request asks to retrieve, to score and to explain
            latest = (context, likeness(self._index, self._middled(), context))
            self._latest = latest
        return latest[1] or self._described(context)

    def _middled(self) -> Floats:
        """The middle of the catalog, (d,)."""
        held = self._middle
        if held is None or held[0] is not self._background:
            held = (self._background, middle_of(self._background))
            self._middle = held
        return held[1]

    def _described(self, context: Context) -> Likeness | None:
        """Where no item says what is meant: the texts that stand for items which are not here, the newest heaviest."""
        vectors = [vector for text in context.like[::-1] if (vector := self.question(text)) is not None]
        weights = HISTORY_DECAY ** np.arange(len(vectors), dtype=np.float32)
        return towards(np.stack(vectors), weights, self._middled()) if vectors else None

    def match(self, query: str, *, limit: int = 1_000, floor: float | None = None, keep: Flags | None = None) -> Near:
        """The neighbours of a query above a cosine, at most `limit`; without `floor`, those above chance."""
        question = self.question(query)
        if question is None:
            return Near(np.empty(0, np.int32), np.empty(0, np.float32))
        items, cosines = self._index.search(question, limit, keep)
        above = int(np.searchsorted(-cosines, -(self.floor(query) if floor is None else floor), side="right"))
        return Near(items[:above], cosines[:above])

    def floor(self, query: str) -> float:
        """The cosine under which neighbours of this query are hardly better than chance; infinite without a vector.

        Half way from the query's background (the mean cosine of items drawn evenly) to its best neighbour, but above
        what one stranger in a hundred reaches (in a small shop hardly anything is a stranger: never above what lies
        nearly as near as the best). Cost: one product with 1,024 items, once a query.
        """
        if self._main is not None:
            return self._main.floor(query)
        question, last = self.question(query), self._floor
        if question is None or not len(self._background):
            return float("inf")
        if last[0] is not question:
            best = self._index.search(question, 1)[1]
            last = (question, self._floored(question, float(best[0]) if len(best) else -1.0))
            self._floor = last  # one reference swapped at once
        return last[1]

    def _floored(self, question: Floats, best: float) -> float:
        around = np.vecdot(self._background, question)
        mean = float(around.mean())
        reach = max(0.0, best - mean)
        chance = min(self.chance.strangers[1] * float(around.std()), NEARLY * reach)
        return mean + max(chance, HALF_WAY * reach)

    def question(self, query: str) -> Floats | None:
        """The query's vector, (d,) of length 1; None where it says nothing or nobody can encode it now."""
        if self._main is not None:
            return self._main.question(query)
        query = query.strip()[:LONGEST_QUERY]
        encoder, last = self._encoder, self._last
        if encoder is None or not query or self.trouble:
            return None
        if last[0] != query:
            try:
                vector = encoder.encode([query], query=True)[0]
            except BodegaError as error:
                self._failed = (time.monotonic() + PAUSE, _note(self.name, error))
                return None
            last = (query, vector if vector.any() else None)
            self._last = last  # one reference swapped at once: threads see the old pair or the new one
        return last[1]

    @property
    def working(self) -> bool:
        """Has it an encoder? Without one it knows nothing of any query, and `notes` say why."""
        return self._encoder is not None

    @property
    def trouble(self) -> str:
        """Why queries are not encoded at this moment (an endpoint that failed a moment ago); "" when they are."""
        until, note = self._failed
        return note if time.monotonic() < until else ""

    @property
    def vectors(self) -> VectorIndex:
        """The vectors of the items, for who else needs them: `vectors.vectors(rows)`, `vectors.search(vector, k)`."""
        return self._index

    def __len__(self) -> int:
        """How many items have a row."""
        return len(self._index)

    def save(self, folder: Path) -> None:
        """Vectors, index, which encoder it was, and the encoder itself where it was learned from this shop."""
        assert self.info is not None, "fit first"
        (folder / "index").mkdir()
        self._index.save(folder / "index")
        np.save(folder / "background.npy", self._background)
        info = self.info
        facts = _Facts(self.name, info.name, info.dimensions, info.digest, info.languages, info.origin, self.chance)
        (folder / "dense.json").write_bytes(msgspec.json.encode(facts, order="sorted"))
        encoder: object = self._encoder
        if isinstance(encoder, _Kept):
            (folder / "encoder").mkdir()
            encoder.save(folder / "encoder")

    @classmethod
    def load(cls, folder: Path, items: ItemTable, reopen: Callable[[EncoderInfo], Encoder] | None = None) -> Self:
        """Memory-map what `save` wrote and open the encoder: the saved one, or what `reopen` finds.

        Where there is none, or another one than the vectors are from, the source is silent and `notes` say why.
        """
        del items
        facts = msgspec.json.decode((folder / "dense.json").read_bytes(), type=_Facts)
        found = cls(name=facts.name, reopen=reopen)
        found.info = EncoderInfo(facts.encoder, facts.dimensions, facts.digest, facts.languages, facts.origin)
        found.chance = facts.chance
        found._index = VectorIndex.load(folder / "index")
        found._background = np.load(folder / "background.npy", allow_pickle=False)
        found.notes = found._index.notes
        found._open(folder / "encoder")
        return found

    def _open(self, folder: Path) -> None:
        assert self.info is not None
        try:
            if folder.is_dir():
                encoder: Encoder = load_kept(folder, self._again)
            elif self._reopen is not None:
                encoder = self._again()
            else:
                self.notes = (f"{self.name}: nobody told how to open the encoder {self.info.name}; it is silent",)
                return
        except BodegaError as error:
            self.notes = (_note(self.name, error),)
            return
        got = encoder.info
        if (got.dimensions, got.digest) != (self.info.dimensions, self.info.digest):
            self.notes = (
                f"{self.name}: its vectors are from {_called(self.info)}, and what is here is {_called(got)}; it is "
                "silent. next: bodega learn",
            )
            return
        self._encoder = encoder

    def _again(self) -> Encoder:
        assert self.info is not None
        if self._reopen is None:
            raise NotLearned("nobody told how to open this encoder", where=self.name, got=self.info.name)
        return self._reopen(self.info)

    def _settle(self) -> None:
        self._last, self._floor, self._failed, self._latest = ("", None), (None, 0.0), (0.0, ""), None

    def _chance(self, questions: Floats, rows: Ints) -> Chance:
        """Halves of titles against the background, and against the items they are from."""
        spoken = np.flatnonzero(questions.any(axis=1) & self._index.alive[rows])
        questions, rows = questions[spoken], rows[spoken]
        if not len(rows):
            return Chance()
        around = questions @ self._background.T
        mean, spread = around.mean(axis=1), np.maximum(around.std(axis=1), 1e-6)
        strangers = np.quantile((around - mean[:, None]) / spread[:, None], (0.9, 0.99, 0.999))
        own = np.quantile((np.vecdot(self._index.vectors(rows), questions) - mean) / spread, (0.01, 0.05, 0.5))
        return Chance(tuple(strangers.round(4).tolist()), tuple(own.round(4).tolist()))


def _encoded(encoder: Encoder, table: ItemTable) -> Floats:
    """The passages' vectors, (n_items, d)."""
    out = np.zeros((len(table), encoder.info.dimensions), np.float32)
    block = BLOCK if isinstance(encoder, _Kept) else max(1, len(table))  # slow ones sort the whole by length
    for start in range(0, len(table), block):
        part = range(start, min(start + block, len(table)))
        out[start : start + len(part)] = encoder.encode([passage(table.item(row)) for row in part])
    return out


def halves(items: ItemTable, count: int) -> list[tuple[int, str]]:
    """(row, half of its title) of `count` items spread over the catalog: what a shopper who means them could type."""
    asked = ((int(row), _half(items.titles[int(row)])) for row in _spread(len(items), count))
    return [(row, text) for row, text in asked if text]


def _half(title: str) -> str:
    """Every second word; of a title without blanks (Chinese) its first half."""
    words = title.split()
    return " ".join(words[::2]) if len(words) > 1 else title[: -(-len(title) // 2)]


def _spread(size: int, count: int) -> Ints:
    """`count` row numbers (or all), evenly spread."""
    if not size:
        return np.empty(0, np.int32)
    return np.unique(np.linspace(0, size - 1, min(size, count)).astype(np.int32))


def _called(info: EncoderInfo) -> str:
    return f"{info.name} ({info.dimensions} directions, {info.digest or 'no digest'})"


def _note(name: str, error: BodegaError) -> str:
    told: Iterable[str] = (f"{name} is silent: {error.what}", f"next: {error.next}" if error.next else "")
    return ". ".join(part for part in told if part)
