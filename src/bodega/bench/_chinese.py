"""Chinese titles: are their parts named right, and is a product found by some of its words?

Taobao: 8,000 product titles tagged by people with product words, brands, models and patterns; the tagger learns from
the 6,000 training titles and is judged on the 1,000 test titles, beside a dictionary of the names of the training
titles and a plain CRF (characters only). Known-item search: up to three tagged parts of a title, in random order, look
for their title among all 8,000 (and JD's 500 titles), beside BM25 over pairs of characters, the usual baseline for
Chinese without a segmenter. Titles repeat parts: the figures are lower bounds.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bodega.errors import MissingExtra
from bodega.evaluation import Case, Scorer
from bodega.schema import Context, Item, ItemTable
from bodega.schema.arrays import Floats
from bodega.understanding.query.tagger import Names, Tagged, Tagger, TaggerOptions, f1, spans

TAOBAO = Path("zh_ecommerce/taobao_ner")
JD = Path("zh_ecommerce/gaiic_jd_titles/train_500.txt")
PARTS = 3
"""Parts of a title in a query, at most."""


class KnownTitles(NamedTuple):
    """Titles as items (rows shuffled), and queries with the one that is meant."""

    table: ItemTable
    cases: dict[str, list[Case]]
    """{"taobao": ..., "jd": ...}."""


def read_taobao(data: Path, part: str) -> list[Tagged]:
    """`train`, `dev` or `test`."""
    with gzip.open(data / TAOBAO / f"{part}.txt.gz", "rt", encoding="utf-8") as file:
        return list(_titles(file.read().splitlines()))


def read_jd(data: Path) -> list[Tagged]:
    return list(_titles((data / JD).read_text("utf-8").splitlines()))


def tagging(data: Path, *, test: str = "test") -> dict[str, tuple[float, float, float]]:
    """{method: (precision, recall, F1)} on the test titles."""
    train, judged = read_taobao(data, "train"), read_taobao(data, test)
    truth = [title.tags for title in judged]
    names = Names.of(train)
    plain = Tagger(TaggerOptions(words=False, names=False)).fit(train)
    tagger = Tagger().fit(train)
    return {
        "dictionary": f1(truth, [names.tags(title.chars) for title in judged]),
        "crf": f1(truth, [plain.tag(title.chars) for title in judged]),
        "tagger": f1(truth, [tagger.tag(title.chars) for title in judged]),
    }


def known_titles(data: Path, seed: int) -> KnownTitles:
    """All titles as a catalog, and a query for each test title of Taobao and each of JD's."""
    rng = np.random.default_rng(seed)
    taobao = {part: read_taobao(data, part) for part in ("train", "dev", "test")}
    jd = read_jd(data)
    everything = [*taobao["train"], *taobao["dev"], *taobao["test"], *jd]
    order = rng.permutation(len(everything))
    place = np.argsort(order)
    titles = ["".join(title.chars) for title in everything]
    table = ItemTable.of(Item(id=str(row), title=titles[at]) for row, at in enumerate(order.tolist()))
    first = {"taobao": len(taobao["train"]) + len(taobao["dev"]), "jd": len(everything) - len(jd)}
    asked = {"taobao": taobao["test"], "jd": jd}
    cases: dict[str, list[Case]] = {}
    for name, own in asked.items():
        cases[name] = [
            Case(Context(place="search", query=query, language="zh"), np.array([place[first[name] + at]], np.int32))
            for at, title in enumerate(own)
            if (query := _query(title, rng))
        ]
    return KnownTitles(table, cases)


def bigram_bm25(table: ItemTable) -> Scorer:
    """BM25 (k1 1.5, b .75) over pairs of neighbouring characters."""
    try:
        import bm25s
    except ImportError as error:
        raise MissingExtra.named("dev", needed_for="the baseline of `bodega bench understand`") from error
    titles = [_pairs(title) for title in table.titles]
    vocabulary: dict[str, int] = {}
    ids = [[vocabulary.setdefault(pair, len(vocabulary)) for pair in title] for title in titles]
    index = bm25s.BM25()
    index.index((ids, vocabulary), show_progress=False)

    def scores(context: Context) -> Floats:
        known = [pair for pair in _pairs(context.query) if pair in vocabulary]
        if not known:
            return np.full(len(table), np.nan, np.float32)
        found = np.asarray(index.get_scores(known), np.float32)
        return np.where(found > 0, found, np.nan).astype(np.float32)

    return scores


def _pairs(text: str) -> list[str]:
    return [text[at : at + 2] for at in range(len(text) - 1) if not text[at : at + 2].isspace()] or [text]


def _query(title: Tagged, rng: np.random.Generator) -> str:
    parts = ["".join(title.chars[span.start : span.end]) for span in spans(title.tags)]
    if not parts:
        return ""
    size = int(rng.integers(1, min(PARTS, len(parts)) + 1)) if len(parts) > 1 else 1
    return " ".join(parts[at] for at in rng.choice(len(parts), max(size, min(2, len(parts))), replace=False))


def _titles(lines: Sequence[str]) -> Iterator[Tagged]:
    """Titles from lines of `character tag`, a blank line between two; a character may be a blank itself."""
    chars: list[str] = []
    tags: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            char, _, tag = line.rpartition(" ")
            chars.append(char[:1] or " ")
            tags.append(tag)
        elif chars:
            yield Tagged(tuple(chars), tuple(tags))
            chars, tags = [], []
