"""What does the shop's knowledge lead to? Links of its graph, known and guessed, as lists around items and needs.

At fit the graph is built (`understanding/graph`), missing links are guessed by signs that were weighed on held-out
links, and each item gets three lists: what could stand in for it, what goes with it, and both. A known link always
counts; a guessed one counts `guessed` times its chance, so that a new item has lists before anybody bought it. Of an
item that was bought, only complements are guessed that nobody has ever bought along: of the others the counts tell.
A search that names a need ("gift for a runner") scores what serves it.
Cost: printed by `bodega bench items --only links`; a request reads 100 entries an anchor. Not for: a shopper's taste.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bodega.protocols import NoProgress
from bodega.retrieval._index import Neighbours, Steps, interest, load_facts, only, save_facts, step_weights
from bodega.retrieval._item_to_item import Asked, ItemToItem, nobody
from bodega.retrieval._pairs import BOUGHT, Pairs, RelationOptions
from bodega.schema import Candidates, Context, ItemTable, World
from bodega.schema.arrays import NO_INTS, Flags, Floats, Ints
from bodega.understanding import language
from bodega.understanding.graph import BESIDE, INSTEAD, Behaviour, GraphOptions, KnowledgeGraph, build
from bodega.understanding.graph.kinds import CODE, NEED
from bodega.understanding.graph.linking import Linker, LinkOptions, learn_links
from bodega.understanding.graph.signs import scaled

TOLD = ("upgrade", "accessory", "substitute", "complement", "upsell", "crosssell", "related")
"""Which relation is told first where several hold."""
PLACES = {"similar": "instead", "together": "beside", "basket": "beside", "home": "both"}
"""The list that answers a place."""


class KnowledgeOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Chosen on validation (docs/decisions/0042-knowledge-graph.md)."""

    top: int = 150
    """Items a list: room for the 100 known links that are counted, and guesses."""
    guesses: int = 20
    """Guessed links an item and relation, beside the known ones."""
    guessed: float = 0.5
    """What a guessed link counts, times its chance beside the likeliest one's; a known one counts 0.5 to 1."""
    common: float = 0.3
    """Guessed complements of items that were bought: what their frequency counts beside the embedding, both scaled. New
    pairs of a month before the test's, hits@10: .228 without, .250 with .3 or .6, .246 with 1 (decision 0042)."""
    heads: int = 20_000
    """Links are guessed for at most so many items, those with the most events first."""
    history_decay: float = 0.65
    graph: GraphOptions = GraphOptions()
    links: LinkOptions = LinkOptions()
    pairs: RelationOptions = RelationOptions()


class Facts(msgspec.Struct, frozen=True):
    """What is kept of a fit beside arrays: how the signs of each relation were weighed, for people."""

    options: KnowledgeOptions = KnowledgeOptions()
    weights: dict[str, dict[str, float]] = {}


class Knowledge(ItemToItem):
    """The knowledge graph as a source.

    Answers: similar, together, basket (around the anchors), home (around the history), and scores searches that name a
    need. Needs: any of links that the shop gives, views, purchases, descriptions; without any it is silent.
    Good for: rare and new items whose like are linked; saying why. Not for: what is popular, order.
    Cost: see the top of the file. Relations: `substitutes` and `complements` are its counts alone (`_pairs`).
    Paper: see `understanding/graph/embedding` and `linking`.
    """

    name = "knowledge"

    def __init__(self, options: KnowledgeOptions | None = None) -> None:
        super().__init__()
        self.facts = Facts(options or KnowledgeOptions())
        self.graph = KnowledgeGraph.none()
        self.linker: Linker | None = None
        """What guessed the links; only after `fit`: it is not kept."""
        self.lists: dict[str, Neighbours] = {"instead": nobody(), "beside": nobody(), "both": nobody()}

    @property
    def options(self) -> KnowledgeOptions:
        return self.facts.options

    def fit(self, world: World) -> Self:
        self._forget()
        options, progress = self.options, NoProgress()
        self.graph = build(world, behaviour_of(world, options.pairs), options.graph, progress)
        self.__dict__.pop("_needs", None)
        wanted = tuple(name for name in (*INSTEAD, *BESIDE) if len(self.graph.edges(name)[0]))
        linker = self.linker = learn_links(world.items, self.graph, wanted, options.links, progress) if wanted else None
        self.facts = Facts(options, _told(linker))
        heads, met = _busiest(world, options.heads), _Met.of(world)
        found = {name: self._links(name, linker, heads, met) for name in wanted}
        n = len(world.items)
        instead, beside = (_total(found, counts, n) for counts in (INSTEAD, BESIDE))
        for name, total in (("instead", instead), ("beside", beside), ("both", beside + 0.5 * instead)):
            self.lists[name] = Neighbours.cut(_blocks(sparse.csr_matrix(total)), options.top)
        return self

    def _links(self, relation: str, linker: Linker | None, heads: Ints, met: _Met) -> sparse.csr_matrix:
        """Items x items of one relation: known links 0.5 to 1, guessed ones below."""
        known = self.graph.between(relation)
        known.data = (0.5 + 0.5 * _of_row(known)).astype(np.float32)
        if linker is None or relation not in linker.weighing:
            return known
        guesses = sparse.vstack(list(_guessed(linker, relation, heads, (self.options, met))), format="csr")
        where = sparse.csr_matrix(
            (np.ones(len(heads), np.float32), (heads, np.arange(len(heads)))), shape=(known.shape[0], len(heads))
        )
        spread = sparse.csr_matrix(where @ guesses)
        return sparse.csr_matrix(known.maximum(spread))

    def retrieve(self, context: Context, k: int) -> Candidates:
        if context.query and not self._wanted(context):
            return Candidates.none(self.name)
        return super().retrieve(context, k)

    def score(self, context: Context, items: NDArray[np.int32]) -> NDArray[np.float32]:
        if context.query:
            return self._scores(context)[items]
        return super().score(context, items)

    def because(self, context: Context, items: NDArray[np.int32], limit: int) -> NDArray[np.int32]:
        if context.query:
            return np.full((len(items), limit), -1, np.int32)
        return super().because(context, items, limit)

    def relation(self, context: Context, seeds: Ints, items: Ints) -> list[str]:
        """How each item is to its seed, for people: a relation; `need` where a search names one; "" where guessed."""
        if context.query:
            return ["need"] * len(items)
        allowed = BESIDE if PLACES.get(context.place) == "beside" else {**INSTEAD, **BESIDE}
        return [self._told(int(seed), int(item), allowed) for seed, item in zip(seeds, items, strict=True)]

    def save(self, folder: Path) -> None:
        for name, near in self.lists.items():
            near.save(folder, name)
        self.graph.save(folder)
        save_facts(folder, self.facts)

    @classmethod
    def load(cls, folder: Path, items: ItemTable) -> Self:
        source = cls()
        source.facts = load_facts(folder, Facts)
        source.graph = KnowledgeGraph.load(folder, len(items))
        source.lists = {name: Neighbours.load(folder, name) for name in source.lists}
        return source

    def _told(self, seed: int, item: int, allowed: Mapping[str, float]) -> str:
        if seed < 0:
            return ""
        return next((name for name in TOLD if name in allowed and item in self.graph.out(seed, name)[0]), "")

    def _asked(self, context: Context) -> Asked:
        chosen = PLACES.get(context.place)
        if chosen is None:
            return self.lists["both"], NO_INTS, np.empty(0, np.float32)
        if chosen == "both":
            return self.lists[chosen], *step_weights(context, self.options.history_decay)
        seeds = np.unique(context.items)
        return self.lists[chosen], seeds, np.ones(len(seeds), np.float32)

    def _scores(self, context: Context) -> Floats:
        if not context.query:
            return super()._scores(context)
        if self._latest is not None and self._latest[0] is context:
            return self._latest[1]
        scores = np.zeros(self.graph.n_items, np.float32)
        for node in self._wanted(context):
            items, weights = self.graph.into(node, "serves_need")
            scores[items] += weights * np.float32(np.log1p(self.graph.n_items / len(items)))
        scores[scores == 0] = np.nan
        scores[context.items] = np.nan
        self._latest = (context, scores)
        return scores

    def _wanted(self, context: Context) -> list[int]:
        """The needs whose words are all in the query."""
        asked = {language.stem(word) for word in language.words(context.query)}
        some = dict.fromkeys(node for stem in sorted(asked) for node in self._needs.get(stem, ()))
        return [node for node in some if self._words[node] <= asked]

    @cached_property
    def _words(self) -> dict[int, frozenset[str]]:
        nodes = np.flatnonzero(self.graph.kinds == NEED).tolist()
        return {node: frozenset(stems_of(self.graph.name(node))) for node in nodes}

    @cached_property
    def _needs(self) -> dict[str, list[int]]:
        """{stem: needs whose words begin with it in the order of the alphabet}."""
        out: dict[str, list[int]] = {}
        for node, words in self._words.items():
            if words:
                out.setdefault(min(words), []).append(node)
        return out


def stems_of(text: str) -> list[str]:
    return [language.stem(word) for word in language.words(text) if word not in language.STOP_WORDS]


def behaviour_of(world: World, options: RelationOptions) -> Behaviour:
    """What the log says of pairs, as the sources `substitutes` and `complements` count it."""
    n = len(world.items)
    if not len(world.log):
        return Behaviour.none(n)
    pairs = Pairs.of(world, options)
    return Behaviour(
        *(_matrix(Neighbours.cut(each, options.top)) for each in (pairs.substitutes(), pairs.complements()))
    )


def _matrix(near: Neighbours) -> sparse.csr_matrix:
    return sparse.csr_matrix((near.weights, near.items, near.starts), shape=(len(near), len(near)))


def _busiest(world: World, most: int) -> Ints:
    """The items that links are guessed for, ascending."""
    seen = np.bincount(world.log.item[world.log.item >= 0], minlength=len(world.items))
    return np.sort(np.argsort(-seen, kind="stable")[:most]).astype(np.int32)


@dataclass(frozen=True, eq=False)
class _Met:
    """Which items were ever bought along with an item."""

    visits: sparse.csr_matrix
    """Items x visits."""
    often: Ints
    """(n_items,) visits."""

    @classmethod
    def of(cls, world: World) -> _Met:
        log = interest(world.log)
        held = Steps.of(only(log, BOUGHT), len(world.items), by_session=True).held
        visits = sparse.csr_matrix(held.T)
        return cls(visits, np.diff(visits.indptr).astype(np.int32))

    def with_any(self, heads: Ints, pool: Ints) -> Flags:
        """(len(heads), len(pool)): were both in one visit?"""
        together = sparse.csr_matrix(self.visits[heads] @ self.visits[pool].T)
        return np.asarray(together.todense()) > 0

    def guess(self, linker: Linker, relation: str, heads: Ints, pool: Ints, common: float) -> Floats:
        """How likely each candidate is bought along for the first time: (len(heads), len(pool)); none for those that
        were bought along before, or never at all."""
        often = np.log1p(self.often[pool].astype(np.float32))[None, :]
        score = scaled(linker.signs.embedding.score(heads, CODE[relation], pool)) + np.float32(common) * scaled(often)
        return np.where(self.with_any(heads, pool) | (self.often[pool] == 0), np.float32(-np.inf), score)


def _guessed(
    linker: Linker, relation: str, heads: Ints, how: tuple[KnowledgeOptions, _Met]
) -> Iterator[sparse.csr_matrix]:
    """Blocks of heads x items: the likeliest unknown tails, `guessed` times their chance beside the likeliest one's.

    Complements of an item that was bought: items that were bought, but never along with it, and, on the scale of all,
    a quarter as many items that nobody has bought yet.
    """
    (options, met), pool, n = how, linker.pool(relation), len(linker.signs.items)
    new = met.often[pool] == 0
    for low in range(0, len(heads), 64):
        rows = heads[low : low + 64]
        chance = linker.scores(relation, rows, pool)
        known = np.asarray(linker.signs.links[relation][rows][:, pool].todense()) > 0
        known |= rows[:, None] == pool[None, :]
        chance[known] = -np.inf
        chance = _beside_best(chance)
        sold = met.often[rows] > 0
        if relation != "complement" or not sold.any():
            yield _tails(np.float32(options.guessed) * chance, options.guesses, (pool, n))
            continue
        first = np.where(sold[:, None], np.float32(0), chance)
        first[sold] = _beside_best(met.guess(linker, relation, rows[sold], pool, options.common)) * ~known[sold]
        few = options.guesses // 4
        fresh = np.where(sold[:, None] & new[None, :], chance, np.float32(0))
        yield sparse.csr_matrix(
            _tails(np.float32(options.guessed) * first, options.guesses - few, (pool, n))
            + _tails(np.float32(options.guessed) * fresh, few, (pool, n))
        )


def _beside_best(scores: Floats) -> Floats:
    """Logarithms of chances as shares of the likeliest one's of each row: 0 to 1."""
    most = scores.max(axis=1, keepdims=True)
    share: Floats = np.exp(scores - np.where(np.isfinite(most), most, 0))
    return share


def _tails(values: Floats, k: int, among: tuple[Ints, int]) -> sparse.csr_matrix:
    """The k largest of each row, as rows over all items."""
    pool, n = among
    k = min(k, len(pool) - 1)
    best = np.sort(np.argpartition(-values, k, axis=1)[:, :k], axis=1)
    value = np.take_along_axis(values, best, 1).astype(np.float32)
    starts = np.arange(0, best.size + 1, k) if k else np.zeros(len(values) + 1, np.int64)
    found = sparse.csr_matrix((value.ravel(), pool[best.ravel()], starts), shape=(len(values), n))
    found.eliminate_zeros()
    return found


def _of_row(matrix: sparse.csr_matrix) -> Floats:
    """Each entry beside the largest of its row."""
    lengths = np.diff(matrix.indptr)
    most = np.zeros(len(lengths), np.float32)
    np.maximum.at(most, np.repeat(np.arange(len(lengths)), lengths), matrix.data)
    share: Floats = matrix.data / np.repeat(np.maximum(most, 1e-12), lengths)
    return share


def _total(found: Mapping[str, sparse.csr_matrix], counts: Mapping[str, float], n: int) -> sparse.csr_matrix:
    total = sparse.csr_matrix((n, n), dtype=np.float32)
    for name, weight in counts.items():
        if name in found:
            total = total + np.float32(weight) * found[name]
    return sparse.csr_matrix(total)


def _blocks(matrix: sparse.csr_matrix, size: int = 4_096) -> Iterator[sparse.csr_matrix]:
    for low in range(0, matrix.shape[0], size):
        yield matrix[low : low + size]


def _told(linker: Linker | None) -> dict[str, dict[str, float]]:
    if linker is None:
        return {}
    return {
        relation: {name: weight for name, weight in zip(each.names, each.weights, strict=True) if weight}
        for relation, each in linker.weighing.items()
    }
