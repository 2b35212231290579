"""The promises of `protocols.Source`, one function each; `checks.check_source` runs them all.

Every promise is asked of the source three times: on a world full of events, on a catalog without any event, and of the
source that was saved and loaded again. Contexts are built to hurt: nobody, strangers, cold anchors, odd queries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.protocols import Explains, Source
from bodega.schema import Candidates, Context, World
from bodega.testing._broken import require
from bodega.testing.world import GeneratedWorld

PLACES = ("home", "popular", "trending", "repeat", "similar", "together", "basket", "category", "search")

ODD_QUERIES = ("milk", "MILK  milk", "牛奶", "mlik", "\U0001f95b", "  ", "\x00?*:(", "a" * 3_000, "no-such-word-at-all")

PLAIN_FILES = frozenset({".npy", ".json"})

INDEX_FILES = frozenset({".idx", ".pos", ".store", ".term", ".fieldnorm", ".fast", ".del", ".lock"})
"""Segment files of tantivy: the one foreign format in a snapshot."""


@dataclass(frozen=True)
class SourceCase:
    """A maker of sources, a world to try them on, and an empty folder to save them in."""

    make: Callable[[], Source]
    generated: GeneratedWorld
    folder: Path
    everything: NDArray[np.int32] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "everything", np.arange(len(self.generated.items), dtype=np.int32))

    @cached_property
    def world(self) -> World:
        return frozen(self.generated.world())

    @cached_property
    def silent(self) -> World:
        """The same catalog, and no event."""
        return World(self.world.items, self.world.log.where(np.zeros(len(self.world.log), np.bool_)), self.world.until)

    @cached_property
    def source(self) -> Source:
        return self.make().fit(self.world)

    @cached_property
    def taught(self) -> tuple[tuple[str, Source], ...]:
        """(what it was taught with, source)."""
        return (("a world with events", self.source), ("a catalog without events", self.make().fit(self.silent)))

    @cached_property
    def saved(self) -> Path:
        return save(self.source, self.folder / "saved")

    @cached_property
    def loaded(self) -> Source:
        return type(self.source).load(self.saved, self.world.items)

    @cached_property
    def contexts(self) -> dict[str, Context]:
        """Named requests, with arrays that cannot be written to."""
        return {name: _sealed(context) for name, context in _contexts(self.generated)}

    def answer(self, source: Source, name: str) -> bytes:
        """All that the source says to a context, as bytes: the list of everything, and every score."""
        got = source.retrieve(self.contexts[name], len(self.everything))
        return got.items.tobytes() + got.score.tobytes() + source.score(self.contexts[name], self.everything).tobytes()


def frozen(world: World) -> World:
    """The world with a log that cannot be written to."""
    for part in fields(world.log):
        value = getattr(world.log, part.name)
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
    return world


def save(source: Source, folder: Path) -> Path:
    folder.mkdir(parents=True)
    source.save(folder)
    return folder


def has_a_name(case: SourceCase) -> None:
    source = case.make()
    require(
        isinstance(source, Source),
        "this is not a Source",
        got=type(source).__name__,
        fix="give it name, fit, retrieve, score, save and load (bodega.protocols.Source)",
    )
    require(
        bool(source.name) and source.name.isidentifier(), "the name is not an identifier", got=source.name,
        fix="use one lower-case word: it names a column, a folder and a figure",
    )  # fmt: skip
    require(source.fit(case.world) is source, "fit does not return the source", fix="end fit with `return self`")


def never_raises(case: SourceCase) -> None:
    for taught, source in case.taught:
        for name, context in case.contexts.items():
            try:
                source.retrieve(context, 10)
                source.score(context, case.everything)
            except Exception as error:
                require(
                    False, "the source raised instead of knowing nothing", where=f"{taught}, context {name!r}",
                    got=repr(error), fix="answer Candidates.none(name), and NaN from score",
                )  # fmt: skip


def gives_wellformed_lists(case: SourceCase) -> None:
    for where, source, context in _everywhere(case):
        for k in (0, 1, 10, len(case.everything) + 5):
            _wellformed(source.retrieve(context, k), source.name, k, len(case.everything), f"{where}, k={k}")


def retrieves_the_best_of_its_scores(case: SourceCase) -> None:
    """retrieve(k) = the k best finite scores over all items, ties by the lower index."""
    for where, source, context in _everywhere(case):
        scores = source.score(context, case.everything)
        _scores_fit(scores, len(case.everything), where)
        known = np.flatnonzero(~np.isnan(scores))
        best = known[np.argsort(-scores[known], kind="stable")]
        for k in (1, 10, len(case.everything)):
            got = source.retrieve(context, k)
            require(
                np.array_equal(got.items, best[:k]), "retrieve is not the k best of score", where=f"{where}, k={k}",
                got=f"{_listed(got.items)} instead of {_listed(best[:k])}",
                fix="order by score, best first; ties by the lower item index; leave NaN out",
            )  # fmt: skip
            require(
                np.allclose(got.score, scores[got.items], rtol=1e-5, atol=1e-6),
                "retrieve and score disagree about a score", where=where, fix="compute both with the same code",
            )  # fmt: skip


def scores_each_item_alone(case: SourceCase) -> None:
    """The score of an item does not depend on which others are asked about."""
    some = case.everything[::-3]
    for where, source, context in _everywhere(case):
        whole = source.score(context, case.everything)
        for asked in (some, np.repeat(some[:3], 2), case.everything[:0]):
            got = source.score(context, asked)
            require(
                got.shape == asked.shape and np.array_equal(got, whole[asked], equal_nan=True),
                "the score of an item depends on the other items asked about", where=where,
                fix="score items one by one: no normalisation over the list, same order out as in",
            )  # fmt: skip


def remembers_nothing_of_requests(case: SourceCase) -> None:
    """The same question has the same answer, whatever was asked before and whatever was done with the answer."""
    names = list(case.contexts)
    first = {name: case.answer(case.source, name) for name in names}
    for name in reversed(names):
        answer = case.source.retrieve(case.contexts[name], 10)
        for array in (answer.items, answer.score, answer.scores):
            if array.flags.writeable:
                array[:] = 0
        scores = case.source.score(case.contexts[name], case.everything)
        if scores.flags.writeable:
            scores[:] = 0
    again = {name: case.answer(case.source, name) for name in names}
    changed = [name for name in names if first[name] != again[name]]
    require(
        not changed, "an answer depends on earlier requests", where=f"contexts {changed}",
        fix="keep no state in retrieve and score, and hand out copies, not views of your arrays",
    )  # fmt: skip


def answers_many_threads(case: SourceCase) -> None:
    names = list(case.contexts)
    alone = [case.answer(case.source, name) for name in names]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda name: case.answer(case.source, name), names * 2))
    require(
        together == alone * 2, "answers change when several threads ask at once",
        fix="use no scratch space that is shared between calls",
    )  # fmt: skip


def learns_the_same_twice(case: SourceCase) -> None:
    one, two = (_bytes_in(save(case.make().fit(case.world), case.folder / name)) for name in ("first", "second"))
    different = sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))
    require(
        not different, "the same world gave different bytes", where=", ".join(different),
        fix="seed every random choice, sort before writing, write no dates, sum in a fixed order",
    )  # fmt: skip


def loads_what_it_saved(case: SourceCase) -> None:
    for name in case.contexts:
        require(
            case.answer(case.loaded, name) == case.answer(case.source, name),
            "the loaded source answers differently from the saved one", where=f"context {name!r}",
            fix="save everything that answers depend on, options included, in the precision you compute with",
        )  # fmt: skip


def leaves_its_folder_alone(case: SourceCase) -> None:
    """A snapshot is shared and immutable: loading and answering write nothing into it."""
    before = _bytes_in(save(case.source, case.folder / "still"))
    source = type(case.source).load(case.folder / "still", case.world.items)
    for context in case.contexts.values():
        source.retrieve(context, 10)
    after = _bytes_in(case.folder / "still")
    require(
        before == after, "loading or answering changed the saved files",
        where=", ".join(sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))),
        fix="open files read-only; build scratch structures in memory",
    )  # fmt: skip


def saves_only_plain_files(case: SourceCase) -> None:
    """Arrays, JSON and known index files: nothing that runs code when it is opened."""
    for path in sorted(case.saved.rglob("*")):
        if path.is_dir():
            continue
        where = path.relative_to(case.saved).as_posix()
        require(
            path.suffix in PLAIN_FILES | INDEX_FILES, "a file of an unknown kind was saved", where=where,
            fix="write flat .npy arrays and .json; never pickle, joblib or torch.save",
        )  # fmt: skip
        if path.suffix == ".npy":
            try:
                np.load(path, mmap_mode="r" if path.stat().st_size > 4096 else None, allow_pickle=False)
            except ValueError as error:
                require(False, "this array holds Python objects", where=where, got=str(error), fix="use plain dtypes")
        elif path.suffix == ".json":
            msgspec.json.decode(path.read_bytes())


def explains_from_the_context(case: SourceCase) -> None:
    """A source that can say why names only items that the shopper or the page brought along."""
    if not isinstance(case.source, Explains):
        return
    for where, source, context in _everywhere(case):
        assert isinstance(source, Explains)
        brought = np.concatenate([context.items, context.history, [-1]])
        items = source.retrieve(context, 5).items
        named = source.because(context, items, 2)
        require(
            named.shape == (len(items), 2), "because has the wrong shape", where=where, got=named.shape,
            fix="one row an item, `limit` columns, -1 where there are fewer reasons",
        )  # fmt: skip
        require(
            bool(np.isin(named, brought).all()), "the reason names items from elsewhere", where=where,
            got=_listed(named.ravel()), fix="name items of context.items or context.history only",
        )  # fmt: skip


SOURCE_CHECKS: tuple[Callable[[SourceCase], None], ...] = (
    has_a_name,
    never_raises,
    gives_wellformed_lists,
    retrieves_the_best_of_its_scores,
    scores_each_item_alone,
    remembers_nothing_of_requests,
    answers_many_threads,
    learns_the_same_twice,
    loads_what_it_saved,
    leaves_its_folder_alone,
    saves_only_plain_files,
    explains_from_the_context,
)


def _contexts(world: GeneratedWorld) -> Iterator[tuple[str, Context]]:
    shopper, other = world.truth.shoppers[0], world.truth.shoppers[-1]
    bought = world.context(shopper)
    sold = np.bincount(world.log.item[world.log.item >= 0], minlength=len(world.items))
    top, cold = np.array([sold.argmax()], np.int32), np.array([sold.argmin()], np.int32)
    yield "nobody", Context(now=world.end)
    yield "an unknown shopper", world.context("never seen")
    yield "long ago", replace(bought, now=world.spec.opening.timestamp() - 1e9)
    yield (
        "one event",
        replace(bought, history=bought.history[-1:], times=bought.times[-1:], actions=bought.actions[-1:]),
    )
    for place in PLACES:
        yield f"{place} of a shopper", replace(bought, place=place)
        yield f"{place} around one item", replace(world.context(other), place=place, items=top)
        yield f"{place} of nobody around a cold item", Context(place=place, now=world.end, items=cold)
    basket = np.unique(bought.history)[:5]
    yield "a basket with repeats", replace(bought, place="basket", items=np.concatenate([basket, basket[::-1]]))
    yield "everything disliked", replace(bought, disliked=np.arange(len(world.items), dtype=np.int32))
    for number, query in enumerate(ODD_QUERIES):
        yield f"query {number} by a shopper", replace(bought, place="search", query=query)
    yield "a query in an unknown language", Context(place="search", now=world.end, query="milk", language="xx")


def _sealed(context: Context) -> Context:
    for name in ("history", "times", "actions", "items", "disliked"):
        array = getattr(context, name)
        array = array.copy()
        array.setflags(write=False)
        context = replace(context, **{name: array})
    return context


def _everywhere(case: SourceCase) -> Iterator[tuple[str, Source, Context]]:
    for taught, source in (*case.taught, ("saved and loaded again", case.loaded)):
        for name, context in case.contexts.items():
            yield f"{taught}, context {name!r}", source, context


def _wellformed(got: Candidates, name: str, k: int, n_items: int, where: str) -> None:
    fix = "return Candidates.of(self.name, items, score): int32 rows and float32 scores, at most k, best first"
    shaped = got.scores.shape == (len(got.items), 1) and got.score.shape == got.items.shape
    require(shaped, "items and scores do not have the same length", where=where, fix=fix)
    require(got.sources == (name,), "the column does not bear the source's name", where=where, got=got.sources, fix=fix)
    require(len(got) <= k, "more candidates than asked for", where=where, got=len(got), fix=fix)
    require(got.items.dtype == np.int32, "items are not int32", where=where, got=got.items.dtype, fix=fix)
    require(got.score.dtype == np.float32, "scores are not float32", where=where, got=got.score.dtype, fix=fix)
    require(bool(np.isfinite(got.score).all()), "a score is NaN or infinite", where=where, fix="leave it out")
    inside = bool(((got.items >= 0) & (got.items < n_items)).all())
    require(inside, "an item that is not in the catalog", where=where, got=_listed(got.items), fix=fix)
    repeated = len(got) - len(np.unique(got.items))
    require(not repeated, "an item appears twice", where=where, got=_listed(got.items), fix=fix)
    require(bool((np.diff(got.score) <= 0).all()), "the list is not sorted", where=where, fix=fix)
    require(np.array_equal(got.scores[:, 0], got.score), "`scores` differs from `score`", where=where, fix=fix)


def _scores_fit(scores: NDArray[np.float32], n_items: int, where: str) -> None:
    require(scores.shape == (n_items,), "score has the wrong shape", where=where, got=scores.shape, fix="one an item")
    require(scores.dtype == np.float32, "score is not float32", where=where, got=scores.dtype, fix="cast at the end")
    require(not np.isinf(scores).any(), "a score is infinite", where=where, fix="NaN means: no opinion")


def _bytes_in(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _listed(items: NDArray[np.integer]) -> str:
    return f"{items[:8].tolist()}{' ...' if len(items) > 8 else ''}"
