"""Part `reviews`: are shoppers understood? Sentiment, aspects, spam, summaries; each with its baselines beside it.

    sentiment   62,000 Chinese shop reviews with labels, copies removed, split by a hash of the text: macro F1 on the
                tenth that nothing was chosen on; learned on nine categories and asked about the tenth; the 309 English
                reviews of a demo shop whose stars say something, by five-fold cross-validation
    aspects     the sentences below, written and labelled by us (48; no public set is at hand); and whether each of ten
                categories is known by what its reviews speak of most
    spam        real reviews as they are, and among them what spammers do, generated
    summary     of half of the reviews, judged by what the other half speaks of

Options were chosen on the dev tenth (docs/decisions/0043-reviews.md). Cost: 1 CPU minute.
"""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from bodega.bench._review_features import gap, told_by
from bodega.errors import BadFeed
from bodega.evaluation.significance import paired
from bodega.protocols import Progress
from bodega.schema import KeptReview, Review
from bodega.understanding.language import detect
from bodega.understanding.reviews.analysis import AnalysisOptions, analyse
from bodega.understanding.reviews.aspects import ASPECTS, Aspects, sentences
from bodega.understanding.reviews.lexicon import Lexicon, squashed
from bodega.understanding.reviews.sentiment import SentimentOptions, learn_sentiment
from bodega.understanding.text.pretrained import installed, open_encoder

if TYPE_CHECKING:
    from bodega.bench.items import ItemsOptions, Sheet

Flags = NDArray[np.bool_]
Label = TypeVar("Label")
RESAMPLES = 1_000
TAUGHT = 12_500
"""Reviews that the judge learns from: what a shop of middle size has."""
OTHERS = 3_000
"""Reviews of the nine categories that a judge of the tenth learns from."""

LABELLED: tuple[tuple[str, tuple[tuple[str, int], ...]], ...] = (
    ("The fabric is soft, well made, but the sleeves are too long.", (("quality", 1), ("size", -1), ("comfort", 1))),
    ("Great price, shipping took forever though and was slow.", (("price", 1), ("delivery", -1))),
    ("Battery dies quickly and the screen is dim.", (("battery", -1), ("display", -1))),
    ("Tastes fresh and delicious, will buy again.", (("taste", 1),)),
    ("Customer service was rude and never helpful.", (("service", -1),)),
    ("Beautiful colour, it looks gorgeous on.", (("look", 1),)),
    ("The box was damaged when it arrived.", (("packaging", -1), ("delivery", -1))),
    ("Not comfortable at all.", (("comfort", -1),)),
    ("Easy to install and simple to use.", (("use", 1),)),
    ("It smells terrible out of the package.", (("smell", -1), ("packaging", -1))),
    ("Sound is clear, bass is powerful.", (("sound", 1),)),
    ("The zipper broke after two days.", (("quality", -1),)),
    ("Fits perfectly, true to size.", (("size", 1),)),
    ("Way overpriced for such flimsy material.", (("price", -1), ("quality", -1))),
    ("The room was clean and the breakfast excellent.", (("place", 1), ("clean", 1))),
    ("A boring plot but beautiful writing.", (("content", 1),)),
    ("Runs hot and the fan is loud.", (("performance", -1),)),
    ("Delivery was fast and the packaging perfect.", (("delivery", 1), ("packaging", 1))),
    ("I love the design, however the stitching is poor.", (("look", 1), ("quality", -1))),
    ("Never fails, works well every day.", ()),
    ("Instructions were difficult to follow.", (("use", -1),)),
    ("Bland flavor, and stale.", (("taste", -1),)),
    ("Good value for the money.", (("price", 1),)),
    ("I gave it to my brother for his birthday.", ()),
    ("质量很好，就是尺码偏小。", (("quality", 1), ("size", -1))),
    ("物流很快，包装也很好。", (("delivery", 1), ("packaging", 1))),
    ("电池不耐用，屏幕也不清晰。", (("battery", -1), ("display", -1))),
    ("苹果很甜，很新鲜。", (("taste", 1),)),
    ("客服态度恶劣。", (("service", -1),)),
    ("颜色漂亮，穿着很舒服。", (("look", 1), ("comfort", 1))),
    ("价格便宜，性价比高。", (("price", 1),)),
    ("盒子破了，里面的东西也坏了。", (("packaging", -1),)),
    ("做工粗糙，线头很多。", (("quality", -1),)),
    ("房间很干净，早餐太差。", (("place", -1), ("clean", 1))),
    ("运行速度慢，经常死机。", (("performance", -1),)),
    ("安装很麻烦。", (("use", -1),)),
    ("有一股难闻的味道。", (("smell", -1), ("taste", -1))),
    ("音质清晰，声音很大。", (("sound", 1),)),
    ("内容很精彩，印刷也不错。", (("content", 1),)),
    ("发货太慢了，等了两周。", (("delivery", -1),)),
    ("不是很舒服，有点硬。", (("comfort", -1),)),
    ("洗完头发很清爽，没有头屑。", (("clean", 1),)),
    ("图案难看，色差很大。", (("look", -1),)),
    ("价格太贵，不值。", (("price", -1),)),
    ("尺寸合适，很合身。", (("size", 1),)),
    ("口感不好，一点都不新鲜。", (("taste", -1),)),
    ("售后服务很周到。", (("service", 1),)),
    ("昨天给妈妈买的。", ()),
)  # fmt: skip
"""Written and labelled by us: (sentence, ((aspect, praise or complaint), ...))."""

KNOWN_BY = {
    "书籍": ("content",),
    "平板": ("performance", "display", "battery"),
    "手机": ("battery", "performance", "display"),
    "水果": ("taste",),
    "洗发水": ("clean", "smell"),
    "热水器": ("use", "service", "performance"),
    "蒙牛": ("taste",),
    "衣服": ("size", "quality", "comfort"),
    "计算机": ("performance", "display"),
    "酒店": ("place",),
}
"""What the reviews of a category should speak of more than others do."""


@dataclass(frozen=True, slots=True)
class _Row:
    category: str
    pleased: bool
    text: str
    part: int
    """0 to 9, by a seeded hash of the text: 0-7 train, 8 dev, 9 test."""


def measure(options: ItemsOptions, sheet: Sheet, progress: Progress) -> None:
    """Measure the part. Raises BadFeed where no set is there."""
    rows = _chinese(options)
    for part in (_aspects, _sentiment, _spam, _summary, _across):
        part(rows, sheet, np.random.default_rng(options.seed))
        progress.advance()
    _english(options, sheet, np.random.default_rng(options.seed))
    sheet.notes.append("reviews: the 48 sentences of reviews.aspects were written and labelled by us")


def _chinese(options: ItemsOptions) -> list[_Row]:
    path = options.data / "zh_ecommerce" / "online_shopping_10_cats" / "online_shopping_10_cats.zip"
    if not path.is_file():
        raise BadFeed("the set of Chinese reviews is not there", where=str(path), next="name the data folder")
    seen: dict[str, _Row] = {}
    with zipfile.ZipFile(path) as archive, archive.open("online_shopping_10_cats.csv") as file:
        for row in csv.DictReader(io.TextIOWrapper(file, "utf-8")):
            text = row["review"].strip()
            digest = hashlib.sha256(f"{options.seed} {text}".encode()).digest()
            if text:
                seen.setdefault("".join(text.split()), _Row(row["cat"], row["label"] == "1", text, digest[0] % 10))
    return list(seen.values())


def _sentiment(rows: Sequence[_Row], sheet: Sheet, rng: np.random.Generator) -> None:
    train, test = [row for row in rows if row.part < 8], [row for row in rows if row.part == 9]
    train = [train[at] for at in np.sort(rng.permutation(len(train))[:TAUGHT]).tolist()]
    texts, truth = [row.text for row in test], np.array([row.pleased for row in test])
    judge = learn_sentiment("zh", [row.text for row in train], np.array([row.pleased for row in train]))
    few = train[:1_000]
    small = learn_sentiment("zh", [row.text for row in few], np.array([row.pleased for row in few]))
    plain = Lexicon.of("zh")
    told = {
        "learned": judge.chance(texts) > 0.5,
        "learned_of_1000": small.chance(texts) > 0.5,
        "lexicon": np.array([plain.score(text) > 0 for text in texts]),
        "lexicon_taught": np.array([judge.lexicon.score(text) > 0 for text in texts]),
        "majority": np.full(len(test), bool(np.mean([row.pleased for row in train]) > 0.5)),
    }
    for name, found in told.items():
        _f1(sheet, f"sentiment.zh.{name}.f1", truth, found, rng)
    gap = paired((told["learned"] == truth).astype(float), (told["lexicon"] == truth).astype(float), rng)
    sheet.facts["reviews.sentiment.zh"] = {
        "test": len(test),
        "learned minus lexicon, accuracy": [round(gap.mean, 4), round(gap.low, 4), round(gap.high, 4)],
    }


def _across(rows: Sequence[_Row], sheet: Sheet, rng: np.random.Generator) -> None:
    """Learned on nine categories, asked about the tenth, which it never saw."""
    plain, learned, lexicon = Lexicon.of("zh"), list[float](), list[float]()
    for category in sorted({row.category for row in rows}):
        others = [row for row in rows if row.category != category and row.part < 8]
        chosen = [others[at] for at in np.sort(rng.permutation(len(others))[:OTHERS])]
        judge = learn_sentiment("zh", [row.text for row in chosen], np.array([row.pleased for row in chosen]))
        held = [row for row in rows if row.category == category and row.part == 9]
        truth, texts = np.array([row.pleased for row in held]), [row.text for row in held]
        learned.append(_f1_of(truth, judge.chance(texts) > 0.5))
        lexicon.append(_f1_of(truth, np.array([plain.score(text) > 0 for text in texts])))
        sheet.figures[f"sentiment.zh.unseen.{category}.f1"] = round(learned[-1], 4)
    for name, values in (("learned", learned), ("lexicon", lexicon)):
        sheet.figures[f"sentiment.zh.unseen_category.{name}.f1"] = round(float(np.mean(values)), 4)


def _english(options: ItemsOptions, sheet: Sheet, rng: np.random.Generator) -> None:
    path = options.data / "magento_luma" / "reviews.csv"
    if not path.is_file():
        sheet.notes.append("reviews: no English set")
        return
    with path.open(encoding="utf-8", newline="") as file:
        told = [(float(row["rating_value"]), row["title"], row["review"]) for row in csv.DictReader(file)]
    held = [(stars > 3, Review(item="-", title=title, text=text).words) for stars, title, text in told if stars != 3]
    truth, texts = np.array([pleased for pleased, _ in held]), [text for _, text in held]
    fold = rng.permutation(len(held)) % 5
    found = np.zeros(len(held), np.bool_)
    for part in range(5):
        inside, outside = np.flatnonzero(fold != part), np.flatnonzero(fold == part)
        judge = learn_sentiment("en", [texts[at] for at in inside], truth[inside], SentimentOptions(fewest=100))
        found[outside] = judge.chance([texts[at] for at in outside]) > 0.5
    plain = Lexicon.of("en")
    _f1(sheet, "sentiment.en.learned.f1", truth, found, rng)
    _f1(sheet, "sentiment.en.lexicon.f1", truth, np.array([plain.score(text) > 0 for text in texts]), rng)
    _f1(sheet, "sentiment.en.majority.f1", truth, np.full(len(truth), bool(truth.mean() > 0.5)), rng)
    sheet.facts["reviews.sentiment.en"] = {"labelled": len(held), "pleased": int(truth.sum())}
    _encoded(texts, truth, (options.seed, sheet))


def _encoded(texts: Sequence[str], truth: Flags, around: tuple[int, Sheet]) -> None:
    """The same reviews by vectors of the pretrained encoders that are installed, against the list of words."""
    seed, sheet = around
    words = np.array([Lexicon.of("en").score(text) > 0 for text in texts])
    for name in installed():
        found = told_by(open_encoder(name), texts, truth, seed)
        _f1(sheet, f"sentiment.en.{name}.f1", truth, found, np.random.default_rng(seed))
        mean, low, high = gap(truth, found, words, seed)
        figure = f"sentiment.en.{name}.vs_lexicon.f1"
        sheet.figures[figure], sheet.intervals[figure] = round(mean, 4), (round(low, 4), round(high, 4))


def _aspects(rows: Sequence[_Row], sheet: Sheet, rng: np.random.Generator) -> None:
    lexicons = {name: Lexicon.of(name) for name in ("en", "zh")}
    aspects = Aspects()
    hits: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for text, labels in LABELLED:
        language = detect(text)
        truth = set(labels)
        found = aspects.opinions(text, lexicons[language], language)
        ours = {(each.aspect, 1 if each.value > 0 else -1) for each in found if each.value}
        whole = squashed([hit.value for hit in lexicons[language].hits(text.casefold())])
        flat = {(each.aspect, 1 if whole > 0 else -1) for each in found}
        hits["clauses"].append(_counts(truth, ours))
        hits["sentence_sign"].append(_counts(truth, flat))
        hits["aspect_only"].append(_counts({name for name, _ in truth}, {name for name, _ in ours}))
    for name, counts in hits.items():
        table = np.array(counts, float)
        figure = f"aspects.{name}.f1"
        sheet.figures[figure] = round(_f1_sum(table.sum(axis=0)), 4)
        drawn = rng.integers(0, len(table), (RESAMPLES, len(table)))
        values = [_f1_sum(table[each].sum(axis=0)) for each in drawn]
        sheet.intervals[figure] = (float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975)))
    _known_by(rows, aspects, sheet)


def _known_by(rows: Sequence[_Row], aspects: Aspects, sheet: Sheet) -> None:
    """Does the aspect that a category's reviews speak of more than others do tell what it is?"""
    by: dict[str, Counter[str]] = defaultdict(Counter)
    sizes = Counter[str]()
    for row in rows:
        if row.part == 9:
            sizes[row.category] += 1
            by[row.category].update(aspects.named(row.text, "zh"))
    total: Counter[str] = sum(by.values(), Counter[str]())
    right = 0
    for category, counts in by.items():
        share = {name: counts[name] / sizes[category] for name in ASPECTS}
        usual = {name: total[name] / sizes.total() for name in ASPECTS}
        lift = {name: share[name] - usual[name] for name in ASPECTS}
        right += max(sorted(lift), key=lambda name: lift[name]) in KNOWN_BY[category]
    sheet.figures["aspects.categories_known"] = right / len(KNOWN_BY)
    chance = float(np.mean([len(fits) / len(ASPECTS) for fits in KNOWN_BY.values()]))
    sheet.figures["aspects.categories_known.chance"] = round(chance, 4)


def _spam(rows: Sequence[_Row], sheet: Sheet, rng: np.random.Generator) -> None:
    """Real reviews over a year, with generated spam among them; found by everything, and by equal texts alone."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    chosen = [rows[at] for at in rng.permutation(len(rows))[:2_000]]
    held: list[KeptReview] = []

    def add(kind: str, item: int, day: float, told: Review) -> None:
        time = start + timedelta(days=day)
        review = Review(
            id=f"{kind}-{len(held)}", item=f"i{item}", user=told.user or f"u{len(held)}", stars=told.stars,
            text=told.text, time=time,
        )  # fmt: skip
        held.append(KeptReview(review=review, number=len(held) + 1, arrived=time.timestamp()))

    days, items = rng.uniform(0, 360, len(chosen)), rng.integers(0, 40, len(chosen))
    for row, day, item in zip(chosen, days.tolist(), items.tolist(), strict=True):
        add("real", item, day, Review(item="-", stars=5.0 if row.pleased else 1.0, text=row.text))
    long = [row for row in chosen if len(row.text) > 40]
    for at in range(40):
        add("copy", at, 361, Review(item="-", stars=5.0, text=long[0].text))
        text = long[1 + at].text
        source = chosen.index(long[1 + at])
        add("near", int(items[source]), 362, Review(item="-", stars=5.0, text=f"真的，{text[:-3]}。赞"))
        add("links", at, 363, Review(item="-", stars=5.0, text=f"第{at}次来，加微信：shop{1000 + at} 返现"))
        add("caps", at, 364, Review(item="-", stars=5.0, text=f"BEST PRODUCT EVER BUY IT NOW NUMBER {at}"))
        add("burst", 90, 100 + at / 200, Review(item="-", stars=5.0, text=f"很好{at}"))
        clear = [row for row in long[200:] if not row.pleased][at]
        add("mismatch", at, 365, Review(item="-", stars=5.0, text=f"{clear.text}质量太差，失望，垃圾，退货。"))
    for at in range(12):
        add("real", 90, 30 * at, Review(item="-", stars=float(1 + at % 5), text=f"还可以{at}"))
    ordered = sorted(held, key=lambda kept: (kept.review.item, kept.arrived))
    flags = analyse(lambda: ordered, {}, AnalysisOptions()).flags
    texts = Counter(kept.review.text for kept in held)
    equal = {kept.review.id for kept in held if texts[kept.review.text] > 1}
    spam = {kept.review.id for kept in held if not kept.review.id.startswith("real")}
    for name, found in (("flags", set(flags)), ("equal_texts", equal)):
        sheet.figures[f"spam.{name}.precision"] = round(len(found & spam) / max(len(found), 1), 4)
        sheet.figures[f"spam.{name}.recall"] = round(len(found & spam) / len(spam), 4)
    for kind in ("copy", "near", "links", "caps", "burst", "mismatch"):
        mine = {name for name in spam if name.startswith(kind)}
        sheet.figures[f"spam.flags.recall.{kind}"] = round(len(mine & set(flags)) / len(mine), 4)
    wrong = Counter(reason for name, reasons in flags.items() if name not in spam for reason in reasons)
    sheet.facts["reviews.spam"] = {"reviews": len(held), "spam": len(spam), "real but flagged": dict(wrong)}


def _summary(rows: Sequence[_Row], sheet: Sheet, rng: np.random.Generator) -> None:
    """How much of what the other half speaks of (aspects, each side by itself) do four sentences speak of?"""
    by: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        if row.part == 9:
            by[row.category].append(row)
    aspects, lexicon = Aspects(), Lexicon.of("zh")

    def sides(text: str) -> Counter[tuple[str, bool]]:
        return Counter((each.aspect, each.value > 0) for each in aspects.opinions(text, lexicon, "zh") if each.value)

    values: dict[str, list[float]] = defaultdict(list)
    for category, held in sorted(by.items()):
        for start in range(0, min(len(held), 240) - 40, 40):
            mine, other = held[start : start + 20], held[start + 20 : start + 40]
            wanted: Counter[tuple[str, bool]] = sum((sides(row.text) for row in other), Counter())
            lines = [line for row in mine for line in sentences(row.text)]
            chosen = {
                "mmr": _extracted(category, mine),
                "lead": lines[:4],
                "random": [lines[at] for at in rng.permutation(len(lines))[:4]],
            }
            for name, picked in chosen.items():
                told = {side for line in picked for side in sides(line)}
                values[name].append(sum(wanted[side] for side in told) / max(wanted.total(), 1))
    table = {name: np.array(each) for name, each in values.items()}
    for name, each in table.items():
        sheet.figures[f"summary.{name}.coverage"] = round(float(each.mean()), 4)
        drawn = each[rng.integers(0, len(each), (RESAMPLES, len(each)))].mean(axis=1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        sheet.intervals[f"summary.{name}.coverage"] = (float(low), float(high))


def _extracted(category: str, rows: Sequence[_Row]) -> list[str]:
    held = [
        KeptReview(review=Review(id=str(at), item=category, text=row.text), number=at + 1, arrived=float(at))
        for at, row in enumerate(rows)
    ]
    told = analyse(lambda: held, {}).opinions.of(category)
    return [] if told is None else [quote.text for quote in told.summary]


def _counts(truth: set[Label], found: set[Label]) -> tuple[int, int, int]:
    """(right, only found, only true)."""
    return len(truth & found), len(found - truth), len(truth - found)


def _f1_sum(counts: NDArray[np.float64]) -> float:
    right, found, true = counts
    return float(2 * right / max(2 * right + found + true, 1))


def _f1_of(truth: Flags, found: Flags) -> float:
    """Mean of the F1 of both sides."""
    return _f1_cells(_cells(truth, found))


def _cells(truth: Flags, found: Flags) -> NDArray[np.float64]:
    return np.bincount(truth.astype(int) * 2 + found.astype(int), minlength=4).astype(float)


def _f1_cells(cells: NDArray[np.float64]) -> float:
    down, up_wrong, down_wrong, up = cells
    wrong = up_wrong + down_wrong
    return float(up / max(2 * up + wrong, 1) + down / max(2 * down + wrong, 1))


def _f1(sheet: Sheet, name: str, truth: Flags, found: Flags, rng: np.random.Generator) -> None:
    """The figure with its interval: resampling cases is drawing the four cells anew."""
    cells = _cells(truth, found)
    sheet.figures[name] = round(_f1_cells(cells), 4)
    drawn = rng.multinomial(int(cells.sum()), cells / cells.sum(), RESAMPLES).astype(float)
    values = [_f1_cells(each) for each in drawn]
    sheet.intervals[name] = (float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975)))
