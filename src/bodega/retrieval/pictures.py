"""Which items look like this photo, or like this item? Nearest pictures by cosine; of an item the best one counts.

The picture job (`bodega pictures`) looks at every picture once; `fit` copies its vectors, seen through a lens that the
shop's own categories ground (`_lens`), into one index over all pictures with the item of each. A photo, or the pictures
of the items asked around, are the questions; an item scores the likeness of the pair of pictures that are most alike.
Likeness is the cosine of what is shown, and `COLOURS` times a high power of the cosine of the colours where the encoder
tells them: nearly equal colours speak for the very same thing, roughly equal ones for nothing (decision 0055).
What a cosine is worth differs from photo to photo, so there is a level of chance (`floor`), as in `dense`.
Cost: two bytes a direction and picture; an answer scores all pictures up to 8,192, beyond that what `_vectors` names.
Colours are looked at for the nearest `REACH` pictures by what is shown.
Not for: what a thing is called or costs, or telling twins apart (`understanding.image` finds duplicates).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
import numpy as np

from bodega.protocols import EncoderInfo, PictureVectors
from bodega.retrieval._index import load_facts, save_arrays, save_facts
from bodega.retrieval._lens import Lens
from bodega.retrieval._vectors import VectorIndex
from bodega.schema import Candidates, Context, ItemTable, World
from bodega.schema.arrays import NO_INTS, Flags, Floats, Ints
from bodega.schema.table import mapped
from bodega.understanding.image.coloured import parted

PER_ITEM = 8
"""Pictures of an item that take part, the first: what comes later are details and size charts."""
ASKED = 8
"""Pictures of the items asked around that are asked, one for each of the newest items first."""
BACKGROUND = 512
"""Pictures that a photo is compared with to see what chance gives."""
HALF_WAY = 0.5
"""The floor lies so far between what pictures of this shop usually have in common with the photo and the nearest."""
LOOSE = 0.25
"""The same for items that also hold the words of the question ("like this, but red")."""


COLOURS, POWER = 0.3, 12
"""Weight of the colours beside what is shown, and the power that their cosine is raised to. Chosen on training photos
and products of even number: the most on the mean of four sets that costs none of them more than .005."""
REACH = 512
"""Pictures whose colours are compared, at least."""


class _Shown(msgspec.Struct):
    """The part of an item that names its pictures."""

    images: tuple[str, ...] = ()


class _Facts(msgspec.Struct, frozen=True):
    encoder: str
    dimensions: int
    digest: str
    origin: str
    format: int = 1
    colours: int = 0


class _Asked(NamedTuple):
    """What is asked, as the index sees it: (m, d) and (m, c), or none of either."""

    shown: Floats
    coloured: Floats


class Pictures:
    """Answers: what looks like this photo (`Context.picture`)? Without one: what looks like the anchors?
    Needs: pictures that were looked at. Good for: clothing, furniture, anything bought by its looks; items without
    words. Not for: history (`profile` mixes looks with what people do), queries of words alone (it stays silent).
    Cost: see the top of the file. Relations: `engine.photo` makes the vector of a photo; `dense` is its twin for words.
    Paper: Jing et al. 2015 (Visual Search at Pinterest); Yang et al. 2017 (Visual Search at eBay).
    """

    name = "pictures"

    def __init__(self, book: PictureVectors | None = None) -> None:
        """`book` knows the pictures' vectors: to fit, and for items that came after the snapshot."""
        self.info: EncoderInfo | None = None
        """The encoder of the vectors; None before `fit`, or where no picture was looked at."""
        self.lens = Lens()
        self._book = book
        self._index = VectorIndex.build(np.zeros((0, 1), np.float32))
        self._colours: Floats = np.zeros((0, 0), np.float32)
        """(n_pictures, c) float16, rows of length 1; c = 0 where the encoder tells no colours."""
        self._owner: Ints = NO_INTS
        """(n_pictures,) the item of each, ascending."""
        self._starts: Ints = np.zeros(1, np.int32)
        """(n_items + 1,) where the pictures of each item begin."""
        self._background: Ints = NO_INTS
        """Pictures that tell what chance gives."""
        self._main: Pictures | None = None

    def fit(self, world: World) -> Self:
        """Take the vectors of all pictures that were looked at."""
        self._main = None
        self.info = None if self._book is None else self._book.info
        vectors, self._owner = self._read(world.items)
        shown, _ = parted(vectors, self._telling)
        self.lens = Lens.learned(shown, world.items.leaf_category[self._owner])
        self._take(vectors, len(world.items))
        return self

    def beside(self, table: ItemTable) -> Pictures:
        """A small source of other items (new or changed ones) whose pictures were looked at meanwhile. Item numbers
        are those of `table`."""
        small = Pictures(self._book)
        small.info, small.lens, small._main = self.info, self.lens, self
        vectors, small._owner = small._read(table)
        small._take(vectors, len(table))
        return small

    def retrieve(self, context: Context, k: int) -> Candidates:
        """The k items that look most like the photo, or like the anchors; none where there is neither."""
        return self.within(context, None, k)

    def within(self, context: Context, keep: Flags | None, k: int) -> Candidates:
        """The k best of which `keep` (bool, (n_items,)) holds: the filter is part of the search."""
        asked = self._questions(context)
        if not len(asked.shown) or k < 1 or not len(self._owner):
            return Candidates.none(self.name)
        may = None if keep is None else keep[self._owner]
        hidden = len(context.items) if self._main is None else 0
        # the k best items are among so many pictures: each better item brings at most PER_ITEM of its own
        most = (k + hidden) * self._widest
        most = min(max(most, REACH) if self._telling else most, len(self._owner))
        found = [self._index.search(each, most, may) for each in asked.shown]
        items = np.unique(self._owner[np.concatenate([rows for rows, _ in found])])
        score = self.score(context, items)
        known = np.isfinite(score)
        items, score = items[known], score[known]
        best = np.lexsort((items, -score))[:k]
        return Candidates.of(self.name, items[best], score[best])

    def score(self, context: Context, items: Ints) -> Floats:
        """Likeness of the pair of pictures most alike, at most 1, (len(items),); NaN without a picture of both."""
        items = np.asarray(items, np.int32)
        out = np.full(len(items), np.nan, np.float32)
        asked = self._questions(context)
        if not len(asked.shown) or not len(self._owner):
            return out
        rows, at = self._pictures_of(items)
        if not len(rows):
            return out
        score = np.fmax.reduce([self._alike(asked, each, rows) for each in range(len(asked.shown))])
        np.fmax.at(out, at, score)
        if not len(context.picture) and self._main is None:
            out[np.isin(items, context.items)] = np.nan
        return out

    def because(self, context: Context, items: Ints, limit: int) -> Ints:
        """The anchors that each item looks most like (see `protocols.Explains`); nothing where a photo was asked."""
        out = np.full((len(items), limit), -1, np.int32)
        if len(context.picture) or not len(context.items) or not len(items):
            return out
        anchors = np.unique(context.items)[:ASKED].astype(np.int32)
        alone = [
            self.score(Context(place=context.place, items=anchors[at : at + 1]), items) for at in range(len(anchors))
        ]
        likeness = np.nan_to_num(np.stack(alone, axis=1), nan=-np.inf)
        order = np.argsort(-likeness, axis=1, kind="stable")[:, :limit]
        led = np.where(np.isfinite(np.take_along_axis(likeness, order, axis=1)), anchors[order], -1)
        out[:, : led.shape[1]] = led
        return out

    def floor(self, context: Context, *, loose: bool = False) -> float:
        """The likeness below which an item hardly looks like the photo; infinite without a photo. `loose`: for items of
        which something else says that they are meant."""
        if self._main is not None:
            return self._main.floor(context, loose=loose)
        asked = self._questions(context)
        if not len(asked.shown) or not len(self._background):
            return float("inf")
        usual = float(np.nanmedian(self._alike(asked, 0, self._background)))
        nearest = self._index.search(asked.shown[0], REACH if self._telling else 1)[0]
        best = float(np.nanmax(self._alike(asked, 0, nearest), initial=usual)) if len(nearest) else usual
        reach = max(0.0, best - usual)
        return usual + (LOOSE if loose else HALF_WAY) * reach

    def fits(self, digest: str) -> bool:
        """Were these pictures looked at by the encoder with this digest?"""
        return self.info is not None and self.info.digest == digest

    @property
    def pictured(self) -> Flags:
        """Which items have a picture: (n_items,)."""
        flags: Flags = np.diff(self._starts) > 0
        return flags

    @property
    def vectors(self) -> VectorIndex:
        """The pictures as they are searched, rows as in `owner`."""
        return self._index

    @property
    def owner(self) -> Ints:
        """(n_pictures,) the item of each picture."""
        return self._owner

    def save(self, folder: Path) -> None:
        """Vectors, whose they are, the lens, and which encoder looked."""
        (folder / "index").mkdir()
        self._index.save(folder / "index")
        (folder / "lens").mkdir()
        self.lens.save(folder / "lens")
        save_arrays(folder, {"owner": self._owner, "starts": self._starts, "colours": self._colours})
        info = self.info or EncoderInfo("", 0, "")
        save_facts(folder, _Facts(info.name, info.dimensions, info.digest, info.origin, colours=info.colours))

    @classmethod
    def load(cls, folder: Path, items: ItemTable, book: PictureVectors | None = None) -> Self:
        """Memory-map what `save` wrote."""
        del items
        facts = load_facts(folder, _Facts)
        found = cls(book)
        if facts.dimensions:
            found.info = EncoderInfo(facts.encoder, facts.dimensions, facts.digest, (), facts.origin, facts.colours)
        found.lens = Lens.load(folder / "lens")
        found._index = VectorIndex.load(folder / "index")
        found._owner, found._starts = mapped(folder / "owner.npy"), mapped(folder / "starts.npy")
        found._colours = mapped(folder / "colours.npy")
        found._background = _spread(len(found._owner))
        return found

    @property
    def _telling(self) -> int:
        """Numbers of a vector that say which colours there are."""
        return self.info.colours if self.info else 0

    @property
    def _widest(self) -> int:
        """Pictures of the item that has most."""
        return int(np.diff(self._starts).max(initial=1))

    def _read(self, table: ItemTable) -> tuple[Floats, Ints]:
        """(vectors of the pictures that were looked at, the item of each): what another encoder saw is left out."""
        book, info = self._book, self.info
        wanted = [(name, row) for row in range(len(table)) for name in shown_by(table, row)]
        if book is None or info is None or book.info is None or not self.fits(book.info.digest) or not wanted:
            return np.zeros((0, info.dimensions if info else 1), np.float32), NO_INTS
        vectors = np.asarray(book.of([name for name, _ in wanted]), np.float32)
        some = vectors.any(axis=1)
        return vectors[some], np.array([row for _, row in wanted], np.int32)[some]

    def _take(self, vectors: Floats, n_items: int) -> None:
        shown, coloured = parted(vectors, self._telling)
        self._index = VectorIndex.build(self.lens.seen(shown))
        self._colours = coloured.astype(np.float16)
        self._starts = np.searchsorted(self._owner, np.arange(n_items + 1)).astype(np.int32)
        self._background = _spread(len(vectors))

    def _alike(self, asked: _Asked, one: int, rows: Ints) -> Floats:
        """How much these pictures look like one of the questions: (len(rows),), at most 1."""
        shown = self._index.scores(asked.shown[one], rows)
        if not asked.coloured[one].any():
            return shown
        return mixed(shown, self._colours[rows].astype(np.float32) @ asked.coloured[one])

    def _questions(self, context: Context) -> _Asked:
        """What is asked: the photo, else the pictures of the anchors."""
        none = _Asked(np.zeros((0, self._index.dimensions), np.float32), np.zeros((0, self._telling), np.float32))
        if len(context.picture):
            if self.info is None or len(context.picture) != self.info.dimensions:
                return none
            shown, coloured = parted(np.asarray(context.picture, np.float32).reshape(1, -1), self._telling)
            if context.query.strip():  # "like this, but red": words may ask for other colours
                coloured = np.zeros_like(coloured)
            return _Asked(self.lens.seen(shown), coloured)
        if self._main is not None:
            return self._main._questions(context)
        if not len(context.items) or context.query.strip():
            return none
        rows, at = self._pictures_of(np.unique(context.items).astype(np.int32))
        if not len(rows):
            return none
        turn = np.arange(len(rows)) - np.searchsorted(at, at)  # the first picture of each anchor before any second one
        first = rows[np.argsort(turn, kind="stable")[:ASKED]]
        return _Asked(self._index.vectors(first), np.asarray(self._colours[first], np.float32))

    def _pictures_of(self, items: Ints) -> tuple[Ints, Ints]:
        """(rows of the index, place in `items` of the item of each)."""
        first = self._starts[items].astype(np.int64)
        lengths = self._starts[items + 1] - first
        ends = np.cumsum(lengths)
        total = int(ends[-1]) if len(ends) else 0
        rows = np.arange(total) + np.repeat(first - (ends - lengths), lengths)
        return rows.astype(np.int32), np.repeat(np.arange(len(items), dtype=np.int32), lengths)


def mixed(shown: Floats, coloured: Floats) -> Floats:
    """The likeness of pictures whose vectors have these cosines: of what is shown, and of the colours."""
    return np.asarray((shown + COLOURS * np.maximum(coloured, 0) ** POWER) / (1 + COLOURS), np.float32)


def _spread(n: int) -> Ints:
    """Up to `BACKGROUND` pictures, evenly spread."""
    return np.unique(np.linspace(0, max(n - 1, 0), min(n, BACKGROUND)).astype(np.int32))


def shown_by(table: ItemTable, row: int) -> Sequence[str]:
    """The pictures of an item that take part, as it names them."""
    raw = table.documents.raw(row)
    if b'"images":' not in raw:  # most shops without pictures: no document is decoded
        return ()
    return msgspec.json.decode(raw, type=_Shown).images[:PER_ITEM]
