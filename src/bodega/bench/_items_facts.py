"""Facts: hide what a shop says of its items, and read it back in their texts; tag Chinese titles.

Luma: colour, size, material, pattern, climate and style of items whose column is emptied, and the audience, which is
the first step of their category path (hidden too; in `audience_in_path` it is left there). Best Buy: brands, and the
colours that titles end with (cut off, to be read elsewhere). What is hidden is hidden for whole products, so that no
variant tells of another; everything the miner learns, its confidence included, comes from the products that keep their
columns. What was chosen by hand was chosen on Luma's folds 0 and 1 and on other Best Buy products; figures are taken on
folds 2 to 4 and fold 1 of Best Buy.
Precision counts the facts from the shipped threshold on; recall counts values; intervals draw products.
Baselines: exact mentions of values that other items have; the most frequent value of the category.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from bodega.bench import _chinese
from bodega.bench.items import ItemsOptions, Sheet
from bodega.catalog import ItemOptions, import_items
from bodega.errors import BadFeed, MissingExtra
from bodega.protocols import Progress
from bodega.schema import Item, ItemTable
from bodega.settings import Knowledge
from bodega.testing.fakes import MemoryCatalog, MemoryLetters
from bodega.understanding.facts import Miner, MinerOptions
from bodega.understanding.facts.passages import key_of
from bodega.understanding.query import colours
from bodega.understanding.query.tagger import Names, Tagger, TaggerOptions, f1

LUMA, BEST_BUY = Path("magento_luma/products.jsonl"), Path("bestbuy_retrotech/products.csv.gz")
QUERIES = Path("zh_ecommerce/multicpr_ecom/train.query.txt.gz")
FOLDS = 5
LUMA_FOLDS, BEST_BUY_FOLDS = (2, 3, 4), (1,)
ATTRIBUTES = ("color", "size", "material", "pattern", "climate", "style_general")
AUDIENCE = {"Men": "men", "Women": "women"}
_COLOUR_END = re.compile(r"\A(?P<title>.{8,}) - (?P<colour>[A-Za-z]+(?: ?/ ?[A-Za-z]+){0,2})\"?\Z")
RESAMPLES = 1_000


class Judged(NamedTuple):
    """One item whose column was hidden: its product, its values, and what a method says of it."""

    product: str
    truth: frozenset[str]
    said: frozenset[str]


Judge = Callable[[Item], Iterable[str]]


def measure(options: ItemsOptions, sheet: Sheet, progress: Progress) -> None:
    """Every figure of this part. Raises BadFeed where no data is there."""
    missing = []
    parts: tuple[tuple[Path, Callable[[ItemsOptions, Sheet], None]], ...] = (
        (LUMA, _luma),
        (BEST_BUY, _best_buy),
        (_chinese.TAOBAO, _taobao),
    )
    for path, part in parts:
        if not (options.data / path).exists():
            missing.append(str(path))
            continue
        progress.start(f"facts: {path.parts[0]}")
        part(options, sheet)
        progress.finish()
    if len(missing) == len(parts):
        raise BadFeed(
            "no data", where=str(options.data), got=", ".join(missing), next="name the folder that holds them"
        )
    sheet.notes += [f"facts: left out, {path} is not there" for path in missing]
    sheet.facts["facts.threshold"] = Knowledge().threshold


def _luma(options: ItemsOptions, sheet: Sheet) -> None:
    items = [_with_audience(item) for item in _read(options.data / LUMA)]
    for name in (*ATTRIBUTES, "audience"):
        held = _hidden(items, name, LUMA_FOLDS, lambda item: item.group or item.id)
        _told(sheet, f"luma.{name}", held, options.seed)
    items = [_with_audience(item, hide=False) for item in _read(options.data / LUMA)]
    held = _hidden(items, "audience", LUMA_FOLDS, lambda item: item.group or item.id)
    _told(sheet, "luma.audience_in_path", held, options.seed)


def _best_buy(options: ItemsOptions, sheet: Sheet) -> None:
    items = _read(options.data / BEST_BUY)
    product = lambda item: key_of(item.title) or item.id  # noqa: E731
    _told(sheet, "bestbuy.brand", _hidden(items, "brand", BEST_BUY_FOLDS, product), options.seed)
    ended = [_with_colour(item) for item in items]
    _told(sheet, "bestbuy.colour", _hidden(ended, "colour", BEST_BUY_FOLDS, product), options.seed)


def _taobao(options: ItemsOptions, sheet: Sheet) -> None:
    train, test = (_chinese.read_taobao(options.data, part) for part in ("train", "test"))
    truth = [title.tags for title in test]
    names = Names.of(train)
    guessed = {"dictionary": [names.tags(title.chars) for title in test]}
    texts = _queries(options.data)
    try:
        for way, chosen in (
            ("crf", TaggerOptions(words=False, names=False)),
            ("tagger", TaggerOptions()),
            ("grams", TaggerOptions(grams=True)),
        ):
            tagger = Tagger(chosen).fit(train, texts)
            guessed[way] = [tagger.tag(title.chars) for title in test]
    except MissingExtra as error:
        sheet.notes.append(f"taobao_ner: only the dictionary, {error.what}; next: {error.next}")
    rng = np.random.default_rng(options.seed)
    draws = rng.integers(0, len(test), (200, len(test)))
    for way, tags in guessed.items():
        precision, recall, both = f1(truth, tags)
        sheet.figures |= {
            f"taobao_ner.{way}.f1": round(both, 4),
            f"taobao_ner.{way}.precision": round(precision, 4),
            f"taobao_ner.{way}.recall": round(recall, 4),
        }
        drawn = [f1([truth[at] for at in rows], [tags[at] for at in rows])[2] for rows in draws.tolist()]
        low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
        sheet.intervals[f"taobao_ner.{way}.f1"] = round(low, 4), round(high, 4)
    best = "grams" if "grams" in guessed else "dictionary"
    sheet.figures["taobao_ner.f1"] = sheet.figures[f"taobao_ner.{best}.f1"]
    if "grams" in guessed:
        gain = [
            f1([truth[at] for at in rows], [guessed["grams"][at] for at in rows])[2]
            - f1([truth[at] for at in rows], [guessed["tagger"][at] for at in rows])[2]
            for rows in draws.tolist()
        ]
        low, high = np.quantile(gain, [0.025, 0.975]).tolist()
        sheet.figures["taobao_ner.gain"] = round(float(np.mean(gain)), 4)
        sheet.intervals["taobao_ner.gain"] = round(low, 4), round(high, 4)


def _hidden(
    items: Sequence[Item], name: str, folds: Iterable[int], product: Callable[[Item], str]
) -> dict[str, list[Judged]]:
    """{method: what it says of each item whose column was emptied}."""
    found: dict[str, list[Judged]] = {}
    at = [zlib.crc32(product(item).encode()) % FOLDS for item in items]
    codes = name in ("color", "size")
    for fold in folds:
        seen = [_without(item, name) if at[row] == fold else item for row, item in enumerate(items)]
        table = ItemTable.of(seen)
        methods: dict[str, Judge] = {
            "mined": _mined(Miner().fit(table), name),
            "dictionary": _dictionary(seen, name),
            "frequent": _frequent(seen, name),
        }
        if codes:
            methods["text"] = _mined(Miner(MinerOptions(codes=False)).fit(table), name)
        for row, item in enumerate(items):
            truth = _values(item, name)
            if at[row] != fold or not truth:
                continue
            for method, judge in methods.items():
                said = frozenset(_same(name, value) for value in judge(seen[row]))
                held = Judged(product(item), frozenset(_same(name, value) for value in truth), said)
                found.setdefault(method, []).append(held)
    return found


def _mined(miner: Miner, name: str) -> Judge:
    threshold = Knowledge().threshold
    return lambda item: [
        fact.value for fact in miner.mine(item) if fact.attribute == name and fact.confidence >= threshold
    ]


def _dictionary(items: Sequence[Item], name: str) -> Judge:
    """Every value of other items that the title or the description names; of several, the longest for a brand."""
    values = {key_of(value): value for item in items for value in _values(item, name)}
    longest = max((key.count(" ") + 1 for key in values), default=0)

    def judge(item: Item) -> list[str]:
        found: dict[str, str] = {}
        for text in (item.title, item.description[:4_000]):
            words = key_of(text[:500]).split() if len(text) <= 500 else _words(text)
            for size in range(longest, 0, -1):
                for start in range(len(words) - size + 1):
                    value = values.get(" ".join(words[start : start + size]))
                    if value is not None and len(value) > 1:
                        found.setdefault(value, value)
            if found:
                break
        return list(found)[:1] if name == "brand" else list(found)

    return judge


def _words(text: str) -> list[str]:
    return " ".join(key_of(text[at : at + 500]) for at in range(0, len(text), 500)).split()


def _frequent(items: Sequence[Item], name: str) -> Judge:
    """The most frequent value among the items of the same category (of all items where none has one)."""
    counts: dict[tuple[str, ...], Counter[str]] = {}
    for item in items:
        for value in _values(item, name):
            for path in {item.category, ()}:
                counts.setdefault(path, Counter())[value] += 1

    def judge(item: Item) -> list[str]:
        own = counts.get(item.category) or counts.get((), Counter())
        return [min(own, key=lambda value: (-own[value], value))] if own else []

    return judge


def _told(sheet: Sheet, name: str, methods: Mapping[str, Sequence[Judged]], seed: int) -> None:
    """Precision, recall and coverage of each method, with intervals over products."""
    rng = np.random.default_rng(seed)
    for method, held in methods.items():
        rows: dict[str, list[float]] = {}
        for one in held:
            own = rows.setdefault(one.product, [0.0] * 5)
            right = len(one.said & one.truth)
            for at, number in enumerate((right, len(one.said), len(one.truth), bool(one.said), 1)):
                own[at] += number
        counts = np.array(list(rows.values())).reshape(-1, 5)
        sums = counts.sum(axis=0)
        key = f"{name}.{method}"
        figures = _shares(sums)
        sheet.figures |= {
            f"{key}.{metric}": round(float(value), 4) for metric, value in figures.items() if value == value
        }
        if len(counts) and sums[1]:
            drawn = rng.integers(0, len(counts), (RESAMPLES, len(counts)))
            spread = [_shares(counts[draw].sum(axis=0)) for draw in drawn]
            for metric in ("precision", "recall"):
                low, high = np.nanquantile([one[metric] for one in spread], [0.025, 0.975]).tolist()
                sheet.intervals[f"{key}.{metric}"] = round(low, 4), round(high, 4)
        sheet.facts[f"{name}.products"] = len(counts)
        sheet.facts[f"{name}.items"] = int(sums[4])


def _shares(sums: np.ndarray) -> dict[str, float]:
    right, said, truth, covered, items = sums.tolist()
    return {
        "precision": right / said if said else float("nan"),
        "recall": right / max(1.0, truth),
        "coverage": covered / max(1.0, items),
    }


def _read(path: Path) -> list[Item]:
    store = MemoryCatalog()
    import_items(path, store, MemoryLetters(), ItemOptions())
    return list(store.scan())


def _with_audience(item: Item, *, hide: bool = True) -> Item:
    """The first step of the category ("Men") as the audience, and (`hide`) out of the path."""
    audience = AUDIENCE.get(item.category[0]) if item.category else None
    attributes = {key: value for key, value in item.attributes.items() if key != "gender"}
    if audience is None:
        return msgspec.structs.replace(item, attributes=attributes)
    return msgspec.structs.replace(item, attributes=attributes | {"audience": audience}, category=item.category[hide:])


def _with_colour(item: Item) -> Item:
    """The colour that a title ends with ("Digital Camera - Black/Silver") as a column, and out of the title."""
    match = _COLOUR_END.match(item.title)
    named = [part.strip() for part in match["colour"].split("/")] if match else []
    if not named or any(part.casefold() not in colours.FAMILY for part in named):
        return item
    assert match is not None
    return msgspec.structs.replace(
        item, title=match["title"], attributes=item.attributes | {"colour": named[0].lower()}
    )


def _values(item: Item, name: str) -> set[str]:
    if name == "brand":
        return {item.brand} if item.brand else set()
    value = item.attributes.get(name, item.options.get(name))
    if value is None:
        return set()
    return set(value) if isinstance(value, list) else {str(value)}


def _without(item: Item, name: str) -> Item:
    if name == "brand":
        return msgspec.structs.replace(item, brand="")
    attributes = {key: value for key, value in item.attributes.items() if key != name}
    options = {key: value for key, value in item.options.items() if key != name}
    return msgspec.structs.replace(item, attributes=attributes, options=options)


def _same(name: str, value: str) -> str:
    """Values that a facet would show as one."""
    del name
    return key_of(value)


def _queries(data: Path) -> list[str]:
    """100,000 searches of Taobao that nobody tagged; none where they are not there."""
    if not (data / QUERIES).exists():
        return []
    with gzip.open(data / QUERIES, "rt", encoding="utf-8") as file:
        return [line.partition("\t")[2].strip() for line in file]
