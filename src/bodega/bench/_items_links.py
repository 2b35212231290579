"""Part `links` of `bench items`: does the knowledge graph know which items belong together?

    Luma           the 1,500 links (related, up-sell, cross-sell) that merchandisers gave 199 products: hidden and found
    supermarket    pairs that are bought together in the last weeks (`_items_pairs`)

Luma's links are cut by link, for each relation: 60 % are known, 20 % weigh the signs, 20 % are asked for: a shop that
has given some links wants the rest. `links.cold` cuts by product (20 % of the products have no link at all): what a new
product gets. Each hidden link is ranked among all products but the head and its other true tails (the filtered setting
of Bordes et al. 2013). A case is one product and relation, its value the mean over its hidden links; `hits@10` without
a relation is the mean over all cases. Whoever uses links is given the known ones and those of the middle fifth.
Cost: a minute.
"""

from __future__ import annotations

import csv
import html
import io
import re
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from bodega.bench._items_pairs import pairs
from bodega.bench.items import ItemsOptions, Sheet
from bodega.bench.result import data_hash
from bodega.errors import BadFeed, BadPicture, MissingExtra
from bodega.evaluation.significance import intervals, paired
from bodega.protocols import Pixels, Progress
from bodega.retrieval.lexical import Lexical
from bodega.schema import Context, Item, ItemTable, Log, World
from bodega.schema.arrays import NO_CODES, NO_DOUBLES, NO_FLOATS, NO_INTS, Doubles, Floats, Ints
from bodega.settings import Understand
from bodega.understanding.graph.building import build
from bodega.understanding.graph.graph import KnowledgeGraph
from bodega.understanding.graph.kinds import GIVEN
from bodega.understanding.graph.linking import Linker, LinkOptions, Weighing, weigh, without
from bodega.understanding.graph.signs import OF_GRAPH, Signs
from bodega.wiring import static_encoder

KNOWN, MIDDLE, ASKED = range(3)
SHARES: Final = (0.6, 0.2, 0.2)
PLAIN: Final = {
    "words": "words",
    "often": "often",
    "category": "category",
    "adamic_adar": "shared",
    "complex": "embedding",
    "neighbours": "neighbours",
    "meaning": "meaning",
    "looks": "looks",
}
"""{name of a baseline: the sign that ranks alone}. `words` is tf-idf, `meaning` the shop's static encoder."""

Cases = dict[tuple[str, str], Doubles]
"""{(relation, metric): one value a case}."""


def links(options: ItemsOptions, sheet: Sheet, progress: Progress) -> None:
    """Measure both. Raises BadFeed where neither data set is there."""
    lost = []
    for name, part in (("luma", luma), ("supermarket", pairs)):
        try:
            part(options, sheet, progress)
        except (BadFeed, MissingExtra) as error:
            lost.append(error)
            sheet.notes.append(f"links: {name} left out, {error.what}")
    if len(lost) == 2:
        raise lost[0]


def luma(options: ItemsOptions, sheet: Sheet, progress: Progress) -> None:
    """Links of the demo shop, cut by link and by product."""
    folder = options.data / "magento_luma"
    items, edges, pictures = read_luma(folder)
    world = World(ItemTable.of(items), _no_events(), 0.0)
    vectors = {"meaning": static_encoder(world, Understand()).encode([f"{i.title}. {i.description}" for i in items])}
    seen = _looks(folder, pictures, len(items))
    if seen is not None:
        vectors["looks"] = seen
    else:
        sheet.notes.append("links: without pictures (extra `images`)")
    rng = np.random.default_rng(options.seed)
    by_link = {name: rng.choice(3, len(pairs), p=SHARES) for name, pairs in edges.items()}
    product = rng.choice(3, len(items), p=SHARES)
    by_product = {name: product[pairs[:, 0]] for name, pairs in edges.items()}
    for prefix, cut in (("links", by_link), ("links.cold", by_product)):
        bench = _Bench(world, vectors, edges, cut, options.seed)
        found = bench.ways()
        if prefix == "links":
            found |= {"bm25": bench.lexical()}
        _tell(sheet, prefix, found, options.seed)
        sheet.facts[f"{prefix}.weights"] = {name: each.weights for name, each in bench.weighing.items()}
    sheet.facts["links.signs"] = bench.signs.names
    sheet.facts["links.data"] = data_hash(folder / "products.jsonl", folder / "links.csv")
    sheet.facts["links.count"] = {name: len(pairs) for name, pairs in edges.items()}
    progress.advance()


@dataclass(eq=False)
class _Bench:
    """One cut of the links, and what each way makes of it."""

    world: World
    vectors: Mapping[str, Floats]
    edges: Mapping[str, Ints]
    cut: Mapping[str, np.ndarray[Any, np.dtype[np.int64]]]
    seed: int

    def __post_init__(self) -> None:
        options, items = LinkOptions(), self.world.items
        early, late = self._graph(KNOWN), self._graph(KNOWN, MIDDLE)
        learned = Signs.of(items, early, options, relations=GIVEN, vectors=self.vectors)
        self.signs = Signs.of(items, late, options, relations=GIVEN, vectors=self.vectors)
        self.weighing = {name: weigh(learned, name, self._of(name, MIDDLE), options) for name in GIVEN}
        own = tuple(sorted(OF_GRAPH))
        self.graph_alone = {name: weigh(learned, name, self._of(name, MIDDLE), options, own) for name in GIVEN}
        self.options = options

    def ways(self) -> dict[str, Cases]:
        """{way: its cases}; "" is what is served."""
        found = {"": self._ranked(self.weighing), "graph": self._ranked(self.graph_alone)}
        names = self.signs.names
        for way, sign in PLAIN.items():
            if sign in names:
                alone = Weighing(names, tuple(float(name == sign) for name in names), 0)
                found[way] = self._ranked(dict.fromkeys(GIVEN, alone))
        return found

    def lexical(self) -> Cases:
        """The title of the product as a search."""
        source = Lexical().fit(self.world)
        everything = np.arange(len(self.world.items), dtype=np.int32)
        titles = list(self.world.items.titles)

        def score(_: str, head: int) -> Floats:
            return np.nan_to_num(source.score(Context(place="search", query=titles[head]), everything), nan=-1.0)

        return self._cases(score)

    def _ranked(self, weighing: Mapping[str, Weighing]) -> Cases:
        linker = Linker(self.signs, weighing, self.options)
        everything = np.arange(len(self.world.items), dtype=np.int32)
        return self._cases(lambda name, head: linker.scores(name, np.array([head], np.int32), everything)[0])

    def _cases(self, score: Callable[[str, int], Floats]) -> Cases:
        out: Cases = {}
        for name in GIVEN:
            heads, tails = self._of(name, ASKED)
            hits, reciprocal = [], []
            for head in np.unique(heads).tolist():
                values = score(name, head).astype(np.float64)
                true = self.edges[name][self.edges[name][:, 0] == head, 1]
                ranks = np.array([_rank(values, tail, true, head) for tail in tails[heads == head].tolist()])
                hits.append(float((ranks <= 10).mean()))
                reciprocal.append(float((1 / ranks).mean()))
            out[name, "hits@10"], out[name, "mrr"] = np.array(hits), np.array(reciprocal)
        return out

    def _of(self, name: str, part: int) -> tuple[Ints, Ints]:
        chosen = self.edges[name][self.cut[name] == part]
        return chosen[:, 0].astype(np.int32), chosen[:, 1].astype(np.int32)

    def _graph(self, *parts: int) -> KnowledgeGraph:
        """The catalog's graph with the links of these parts."""
        graph = build(self.world)
        for name in GIVEN:
            gone = self.edges[name][~np.isin(self.cut[name], parts)]
            graph = without(graph, name, (gone[:, 0].astype(np.int32), gone[:, 1].astype(np.int32)))
        return graph


def _rank(values: Doubles, tail: int, true: Ints, head: int) -> float:
    """Place of the tail among all items but the head and its other true tails; ties count half."""
    among = np.ones(len(values), np.bool_)
    among[true] = among[head] = False
    rest = values[among]
    return 1 + float((rest > values[tail]).sum()) + 0.5 * float((rest == values[tail]).sum())


def _tell(sheet: Sheet, prefix: str, found: Mapping[str, Cases], seed: int) -> None:
    columns: dict[str, Doubles] = {}
    for way, cases in found.items():
        for metric in ("hits@10", "mrr"):
            parts = [cases[name, metric] for name in GIVEN]
            for name, values in zip(GIVEN, parts, strict=True):
                _put(sheet, ".".join(part for part in (prefix, name, way, metric) if part), values, seed)
            whole = np.concatenate(parts)
            columns[f"{way}.{metric}"] = whole
            _put(sheet, ".".join(part for part in (prefix, way, metric) if part), whole, seed)
    for way in found:
        if way:
            gap = paired(columns[".hits@10"], columns[f"{way}.hits@10"], np.random.default_rng(seed))
            name = f"{prefix}.gain_over_{way}.hits@10"
            sheet.figures[name], sheet.intervals[name] = round(gap.mean, 4), (round(gap.low, 4), round(gap.high, 4))
    sheet.facts[f"{prefix}.cases"] = {name: len(found[""][name, "mrr"]) for name in GIVEN}


def _put(sheet: Sheet, name: str, values: Doubles, seed: int) -> None:
    sheet.figures[name] = round(float(values.mean()), 4)
    low, high = intervals({"x": values}, np.random.default_rng(seed))["x"]
    sheet.intervals[name] = (round(low, 4), round(high, 4))


class _Product(msgspec.Struct):
    sku: str
    name: str
    price: float | None = None
    categories: tuple[str, ...] = ()
    attribute_set: str = ""
    attributes: dict[str, str] = {}
    description_html: str = ""
    images: tuple[str, ...] = ()
    variants: tuple[dict[str, Any], ...] = ()


def read_luma(folder: Path) -> tuple[list[Item], dict[str, Ints], list[tuple[str, ...]]]:
    """(products with their links, {relation: (n, 2) rows}, the names of their pictures). Raises BadFeed."""
    try:
        lines = (folder / "products.jsonl").read_bytes().splitlines()
        rows = [msgspec.json.decode(line, type=_Product) for line in lines]
        told = list(csv.DictReader((folder / "links.csv").read_text("utf-8").splitlines()))
    except (OSError, msgspec.DecodeError, KeyError) as error:
        raise BadFeed("Luma cannot be read", where=str(folder), got=str(error), next="name its folder") from error
    index = {row.sku: place for place, row in enumerate(rows)}
    found: dict[str, list[tuple[int, int]]] = {name: [] for name in GIVEN}
    held: dict[str, dict[str, list[str]]] = {}
    for line in told:
        head, tail, name = line["sku"], line["linked_sku"], line["link_type"]
        if head in index and tail in index and head != tail and name in found:
            found[name].append((index[head], index[tail]))
            held.setdefault(head, {}).setdefault(name, []).append(tail)
    items = [replace_links(_item(row), held.get(row.sku, {})) for row in rows]
    edges = {name: np.unique(np.array(each, np.int32).reshape(-1, 2), axis=0) for name, each in found.items()}
    return items, edges, [row.images for row in rows]


def replace_links(item: Item, links: Mapping[str, list[str]]) -> Item:
    """The item with the links that the shop gives it."""
    return msgspec.structs.replace(item, links={name: tuple(ids) for name, ids in links.items()})


def _item(row: _Product) -> Item:
    paths = sorted((tuple(path.split("/")) for path in row.categories), key=lambda path: (path[0] == "Collections",))
    values: dict[str, str | float | bool | list[str]] = {
        name: value.split("|") if "|" in value else value
        for name, value in row.attributes.items()
        if value not in ("", "No")
    }
    values["set"] = row.attribute_set
    colours = sorted({str(each["color"]) for each in row.variants if each.get("color")})
    if colours:
        values["color"] = colours
    return Item(
        id=row.sku,
        title=row.name,
        description=re.sub(r"<[^>]+>", " ", html.unescape(row.description_html)),
        price=row.price or None,
        category=paths[0] if paths else (),
        tags=tuple("/".join(path) for path in paths[1:]),
        attributes=values,
    )


def _looks(folder: Path, pictures: list[tuple[str, ...]], n_items: int) -> Floats | None:
    """The first picture of each product as the shop's encoder sees it; None where it cannot be opened."""
    from bodega.understanding.image.decoding import decode
    from bodega.understanding.image.opening import open_image_encoder

    wanted = {names[0]: row for row, names in reversed(list(enumerate(pictures))) if names}
    rows: dict[str, list[int]] = {}
    for row, names in enumerate(pictures):
        if names:
            rows.setdefault(names[0], []).append(row)
    try:
        encoder = open_image_encoder()
        seen: list[tuple[str, Pixels]] = []
        with tarfile.open(folder / "images_320.tar") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.name in wanted else None
                if file is not None:
                    seen.append((member.name, decode(io.BytesIO(file.read()).getvalue())))
    except (MissingExtra, BadPicture, OSError, tarfile.TarError):
        return None
    vectors = np.zeros((n_items, encoder.info.dimensions), np.float32)
    for start in range(0, len(seen), 32):
        block = encoder.encode([pixels for _, pixels in seen[start : start + 32]])
        for (name, _), vector in zip(seen[start : start + 32], block, strict=True):
            vectors[rows[name]] = vector
    return vectors


def _no_events() -> Log:
    return Log(NO_DOUBLES, NO_CODES, NO_INTS, NO_INTS, NO_INTS, NO_FLOATS, NO_FLOATS, NO_INTS, NO_INTS, 0, 0)
