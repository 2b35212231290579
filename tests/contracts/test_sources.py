"""Every source keeps every promise of `protocols.Source`; and every broken twin is caught by the check meant for it."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
import pytest

from bodega.protocols import Encoder, EncoderInfo, Source
from bodega.retrieval.appeal import Appeal
from bodega.retrieval.asked import Asked
from bodega.retrieval.collaborative import Collaborative
from bodega.retrieval.content import Content
from bodega.retrieval.dense import Dense
from bodega.retrieval.generative import Generative, GenerativeOptions
from bodega.retrieval.graph import Graph
from bodega.retrieval.intent import Intent
from bodega.retrieval.knowledge import Knowledge, KnowledgeOptions
from bodega.retrieval.lexical import Lexical
from bodega.retrieval.matrix import Matrix
from bodega.retrieval.popular import Popular
from bodega.retrieval.profile import Profile, Senses
from bodega.retrieval.recent import Recent
from bodega.retrieval.relations import Complements, Substitutes
from bodega.retrieval.repeat import Repeat
from bodega.retrieval.sequential import Sequential, SequentialOptions
from bodega.retrieval.slim import Slim
from bodega.retrieval.transition import Transition
from bodega.schema import Candidates, Context, ItemTable, World
from bodega.testing import checks
from bodega.testing.checks import SOURCE_CHECKS, ContractBroken, SourceCase, check_source
from bodega.testing.fakes import FakeEncoder
from bodega.testing.world import WorldSpec, make_world
from bodega.understanding.graph.embedding import EmbeddingOptions
from bodega.understanding.graph.signs import LinkOptions
from bodega.understanding.profile import ProfileOptions


class FakeDense(Dense):
    """The dense source with an encoder that needs no package."""

    def __init__(self, *, name: str = "dense", reopen: Callable[[EncoderInfo], Encoder] | None = None) -> None:
        super().__init__(lambda world: FakeEncoder(), name=name, reopen=reopen)

    @classmethod
    def load(cls, folder: Path, items: ItemTable, reopen: Callable[[EncoderInfo], Encoder] | None = None) -> Self:
        return super().load(folder, items, reopen or (lambda info: FakeEncoder()))


class FakeProfile(Profile):
    """The item profiles with an encoder that needs no package, learned in a moment."""

    def __init__(
        self, senses: Senses | None = None, options: ProfileOptions | None = None, *, decay: float = 0.5
    ) -> None:
        with_fake = Senses(lambda world: FakeEncoder(), lambda info: FakeEncoder())
        small = ProfileOptions(dimensions=16, steps=(5, 5), batch=64, strangers=16)
        super().__init__(senses or with_fake, options or small, decay=decay)

    @classmethod
    def load(cls, folder: Path, items: ItemTable, senses: Senses | None = None) -> Self:
        return super().load(folder, items, senses or Senses(reopen=lambda info: FakeEncoder()))


class SmallSequential(Sequential):
    """The sequential source, so small that it learns in a second."""

    def __init__(self, options: SequentialOptions | None = None) -> None:
        small = SequentialOptions(dimensions=8, layers=1, epochs=1, guesses=5_000, negatives=64, titles=8)
        super().__init__(options or small)


class SmallGenerative(Generative):
    """The generative source, so small that it learns in a second."""

    def __init__(self, options: GenerativeOptions | None = None) -> None:
        small = GenerativeOptions(dimensions=16, hidden=32, layers=1, epochs=(1, 1), length=20)
        super().__init__(options or small)


class SmallKnowledge(Knowledge):
    """The knowledge graph with vectors that learn in a second."""

    def __init__(self, options: KnowledgeOptions | None = None) -> None:
        embedding = EmbeddingOptions(rank=4, steps=40)
        super().__init__(options or KnowledgeOptions(links=LinkOptions(embedding=embedding, heads=100)))


SOURCES: tuple[type[Source], ...] = (
    Popular,
    Transition,
    Collaborative,
    Repeat,
    Lexical,
    Recent,
    Content,
    Asked,
    Intent,
    Matrix,
    Graph,
    Slim,
    Appeal,
    Substitutes,
    Complements,
    SmallKnowledge,
    FakeDense,
    FakeProfile,
    SmallSequential,
    SmallGenerative,
)


@pytest.fixture(scope="module", params=SOURCES, ids=lambda source: source.name)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SourceCase:
    return SourceCase(request.param, checks.small_world(), tmp_path_factory.mktemp("sources"))


@pytest.mark.parametrize("check", SOURCE_CHECKS, ids=lambda check: check.__name__)
def test_source_keeps_its_promise(case: SourceCase, check: Callable[[SourceCase], None]) -> None:
    check(case)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_a_catalog_of_one_item_and_no_events(source: type[Source], tmp_path: Path) -> None:
    one = make_world(WorldSpec(n_items=16, n_shoppers=1, days=1))
    table = ItemTable.of(one.items[:1])
    silent = World(table, one.log.where(np.zeros(len(one.log), bool)), one.end)
    fitted = source().fit(silent)
    anchors = np.zeros(1, np.int32)
    for context in (Context(), Context(place="similar", items=anchors), Context(place="search", query="a")):
        assert len(fitted.retrieve(context, 5)) <= 1
        assert fitted.score(context, anchors).shape == (1,)


class Plain:
    """A source that keeps its promises in the plainest way: counts, on a coarse grid so that there are ties."""

    name = "plain"

    def __init__(self) -> None:
        self.counts = np.empty(0, np.float32)

    def fit(self, world: World) -> Self:
        counts = np.bincount(world.log.item[world.log.item >= 0], minlength=len(world.items))
        self.counts = np.floor(np.log1p(counts)).astype(np.float32)
        self.counts[counts == 0] = np.nan
        return self

    def retrieve(self, context: Context, k: int) -> Candidates:
        scores = self.score(context, np.arange(len(self.counts), dtype=np.int32))
        known = np.flatnonzero(~np.isnan(scores))
        best = known[np.argsort(-scores[known], kind="stable")][:k].astype(np.int32)
        return Candidates.of(self.name, best, scores[best])

    def score(self, context: Context, items: np.ndarray) -> np.ndarray:
        scores = self.counts[items].copy()
        if len(context.items):
            scores[np.isin(items, context.items)] = np.nan
        return scores

    def because(self, context: Context, items: np.ndarray, limit: int) -> np.ndarray:
        newest = np.full(limit, -1, np.int32)
        newest[: len(context.seeds)] = context.seeds[::-1][:limit]
        return np.tile(newest, (len(items), 1))

    def save(self, folder: Path) -> None:
        np.save(folder / "counts.npy", self.counts)

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        source = cls()
        source.counts = np.load(folder / "counts.npy", allow_pickle=False)
        return source


class Raises(Plain):
    def score(self, context: Context, items: np.ndarray) -> np.ndarray:
        context.history[-1]
        return super().score(context, items)


class Unsorted(Plain):
    def retrieve(self, context: Context, k: int) -> Candidates:
        got = super().retrieve(context, k)
        return got.take(np.arange(len(got))[::-1])


class ReturnsNaN(Plain):
    def retrieve(self, context: Context, k: int) -> Candidates:
        items = np.argsort(-self.counts, kind="stable")[:k].astype(np.int32)  # those without a score come last
        return Candidates.of(self.name, items, self.counts[items])


class Repeats(Plain):
    def retrieve(self, context: Context, k: int) -> Candidates:
        got = super().retrieve(context, k)
        return got.take(np.zeros(len(got), np.int64))


class IgnoresK(Plain):
    def retrieve(self, context: Context, k: int) -> Candidates:
        return super().retrieve(context, k + 1)


class DoublePrecision(Plain):
    def retrieve(self, context: Context, k: int) -> Candidates:
        got = super().retrieve(context, k)
        return Candidates.of(self.name, got.items, got.score.astype(np.float64))


class OutsideTheCatalog(Plain):
    def retrieve(self, context: Context, k: int) -> Candidates:
        got = super().retrieve(context, k)
        return Candidates.of(self.name, got.items + len(self.counts), got.score)


class ForgetsTies(Plain):
    """Cuts every tie group to its first item: among equals, all but one are never found."""

    def retrieve(self, context: Context, k: int) -> Candidates:
        got = super().retrieve(context, len(self.counts))
        first = np.append(True, np.diff(got.score) != 0) if len(got) else np.empty(0, bool)
        return got.take(first).take(np.arange(min(k, int(first.sum()))))


class RandomTies(Plain):
    def retrieve(self, context: Context, k: int) -> Candidates:
        got = super().retrieve(context, len(self.counts))
        noise = np.random.default_rng().random(len(got))
        return got.take(np.lexsort((noise, -got.score))[:k])


class HigherIndexFirst(Plain):
    def retrieve(self, context: Context, k: int) -> Candidates:
        got = super().retrieve(context, len(self.counts))
        return got.take(np.lexsort((-got.items, -got.score))[:k])


class ScoresOverTheList(Plain):
    """z-scores over whatever list it is given: the classic trap."""

    def score(self, context: Context, items: np.ndarray) -> np.ndarray:
        scores = super().score(context, items)
        return scores - np.float32(np.nanmean(scores)) if np.isfinite(scores).any() else scores


class RemembersRequests(Plain):
    def score(self, context: Context, items: np.ndarray) -> np.ndarray:
        self.counts[context.items] -= 1
        return super().score(context, items)


class HandsOutItsArrays(Plain):
    def score(self, context: Context, items: np.ndarray) -> np.ndarray:
        everything = len(items) == len(self.counts) and not len(context.items)
        return self.counts if everything else super().score(context, items)


class SharesScratch(Plain):
    """One scratch array for all calls: two threads write into it at once."""

    def score(self, context: Context, items: np.ndarray) -> np.ndarray:
        import time

        self.mask = np.zeros(len(self.counts), bool)
        self.mask[context.items] = True
        time.sleep(0.0001)
        scores = self.counts[items].copy()
        scores[self.mask[items]] = np.nan
        return scores


class UnseededFit(Plain):
    def fit(self, world: World) -> Self:
        super().fit(world)
        self.counts += np.random.default_rng().random(len(self.counts)).astype(np.float32)
        return self


class WritesTheDate(Plain):
    def save(self, folder: Path) -> None:
        import time

        super().save(folder)
        (folder / "facts.json").write_bytes(msgspec.json.encode({"saved": time.time_ns()}))


class ForgetsOptions(Plain):
    def __init__(self, boost: float = 0.0) -> None:
        super().__init__()
        self.boost = np.float32(boost)

    def fit(self, world: World) -> Self:
        self.boost = np.float32(2.0)
        return super().fit(world)

    def score(self, context: Context, items: np.ndarray) -> np.ndarray:
        return super().score(context, items) + self.boost


class WritesIntoItsFolder(Plain):
    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        (folder / "opened.json").write_text("{}")
        return super().load(folder, items)


class Pickles(Plain):
    def save(self, folder: Path) -> None:
        super().save(folder)
        (folder / "model.pkl").write_bytes(pickle.dumps({"counts": 1}))


class PicklesInAnArray(Plain):
    def save(self, folder: Path) -> None:
        super().save(folder)
        np.save(folder / "options.npy", np.array([{"a": 1}], object))


class ChangesTheWorld(Plain):
    def fit(self, world: World) -> Self:
        world.log.item[:] = 0
        return super().fit(world)


class NamesStrangers(Plain):
    def because(self, context: Context, items: np.ndarray, limit: int) -> np.ndarray:
        return np.tile(np.arange(limit, dtype=np.int32), (len(items), 1))


class ShortReasons(Plain):
    def because(self, context: Context, items: np.ndarray, limit: int) -> np.ndarray:
        return super().because(context, items, limit)[:, :1]


class NoName(Plain):
    name = "two words"


class LosesItself(Plain):
    def fit(self, world: World) -> Self:
        super().fit(world)
        return type(self)()


TWINS: dict[type[Plain], str] = {
    Raises: "raised instead of knowing nothing",
    Unsorted: "not sorted|not the k best",
    ReturnsNaN: "NaN or infinite",
    Repeats: "appears twice",
    IgnoresK: "more candidates than asked for",
    DoublePrecision: "not float32",
    OutsideTheCatalog: "not in the catalog",
    ForgetsTies: "not the k best",
    RandomTies: "not the k best",
    HigherIndexFirst: "not the k best",
    ScoresOverTheList: "depends on the other items",
    RemembersRequests: "depends on earlier requests",
    HandsOutItsArrays: "depends on earlier requests",
    SharesScratch: "several threads",
    UnseededFit: "different bytes",
    WritesTheDate: "different bytes",
    ForgetsOptions: "answers differently|not the k best",
    WritesIntoItsFolder: "changed the saved files",
    Pickles: "unknown kind",
    PicklesInAnArray: "Python objects",
    NamesStrangers: "items from elsewhere",
    ShortReasons: "wrong shape",
    NoName: "not an identifier",
    LosesItself: "does not return the source",
}


def test_the_plain_source_passes(tmp_path: Path) -> None:
    check_source(Plain, tmp_path)


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.__name__)
def test_broken_twin_is_caught(twin: type[Plain], tmp_path: Path) -> None:
    with pytest.raises(ContractBroken, match=TWINS[twin]) as caught:
        check_source(twin, tmp_path)
    assert caught.value.next, "the error does not say how to mend it"
    assert not re.search(r"\bNone\b", str(caught.value))


def test_a_source_that_changes_the_world_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        check_source(ChangesTheWorld, tmp_path)


def test_something_else_is_not_a_source(tmp_path: Path) -> None:
    with pytest.raises(ContractBroken, match="not a Source"):
        check_source(lambda: object(), tmp_path)  # type: ignore[arg-type, return-value]
