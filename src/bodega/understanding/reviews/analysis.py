"""What do all reviews of a shop say? Three passes over the store: look for spam, teach the judges, read item by item.

    pass 1   every review once: copies, bursts, links; which reviews carry a label
    pass 2   the labelled ones: a judge per language (`sentiment`), further aspects (`aspects.mine`)
    pass 3   item by item: sentiment, opinions per aspect with quotes, a summary; running sums for the features

Judges are taught by the first 300, 375, 469, ... labelled reviews in order of arrival: they stay the same until a
quarter more has come, and so does everything that hangs on them. An item is read again only where its reviews or its
judges changed; what was found before comes from the snapshot before, byte for byte what it would be anew.
Cost: .3 ms a review the first time, .1 ms after; memory for the labelled texts (60,000 at most a language).
Not for: deciding what is shown (the store does, by flags and verdicts).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from typing import Final, Self

import msgspec
import numpy as np

from bodega.schema import Texts
from bodega.schema.reviews import KeptReview, Ratings
from bodega.schema.table import mapped
from bodega.understanding.language import detect
from bodega.understanding.reviews.aspects import Aspects, Opinion, mine, sentences
from bodega.understanding.reviews.sentiment import Sentiment, SentimentOptions, learn_sentiment
from bodega.understanding.reviews.spam import SpamOptions, Watch, mismatched
from bodega.understanding.reviews.summary import Sentence, summarise
from bodega.understanding.reviews.told import AspectTold, ItemReviews, JudgeFacts, Quote, ReviewFacts

LANGUAGES: Final = ("en", "zh")
MOST_TAUGHT: Final = 60_000
STEP: Final = 1.25
ASPECTS_SHOWN: Final = 12
VERSION: Final = 1
"""Raised when the same reviews would be read otherwise."""


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    sentiment: SentimentOptions = field(default_factory=SentimentOptions)
    spam: SpamOptions = field(default_factory=SpamOptions)
    sentences: int = 4
    """In a summary."""


class Read(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was found of one item, as a snapshot keeps it."""

    key: str
    """Digest of everything it was made of."""
    told: ItemReviews
    sentiment: tuple[float, ...] = ()
    """Of each shown review, in the order of the store; 2 where it has no words."""
    quality: tuple[float, ...] = ()
    """What each says of the quality; 2 where it says nothing."""
    mismatched: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Judges:
    """A judge a language, and the aspects they look for."""

    of: Mapping[str, Sentiment]
    aspects: Aspects

    @classmethod
    def untaught(cls) -> Self:
        """The word lists alone."""
        nothing = np.empty(0, np.bool_)
        return cls({name: learn_sentiment(name, [], nothing) for name in LANGUAGES}, Aspects())

    def digest(self) -> bytes:
        parts = [f"{VERSION} {self.aspects.mined}".encode()]
        for name, judge in sorted(self.of.items()):
            facts = (name, judge.bias, judge.lexical, judge.origin, sorted(judge.lexicon.learned.items()))
            parts += [msgspec.json.encode(facts), judge.weights.tobytes()]
        return blake2b(b"\0".join(parts), digest_size=16).digest()

    def facts(self) -> tuple[JudgeFacts, ...]:
        return tuple(JudgeFacts(language=n, origin=j.origin, labels=j.labels) for n, j in sorted(self.of.items()))

    def polarity(self, texts: Sequence[str]) -> list[float]:
        """Of each text, by the judge of its language, -1 to 1."""
        out = [0.0] * len(texts)
        rows: defaultdict[str, list[int]] = defaultdict(list)
        for at, text in enumerate(texts):
            rows[detect(text)].append(at)
        for name, places in rows.items():
            for at, value in zip(places, self.of[name].polarity([texts[at] for at in places]).tolist(), strict=True):
                out[at] = round(value, 4)
        return out

    def save(self, folder: Path) -> None:
        for name, judge in sorted(self.of.items()):
            (folder / name).mkdir()
            judge.save(folder / name)
        (folder / "aspects.json").write_bytes(msgspec.json.encode(self.aspects.mined))

    @classmethod
    def load(cls, folder: Path) -> Self:
        mined = msgspec.json.decode((folder / "aspects.json").read_bytes(), type=tuple[str, ...])
        return cls({name: Sentiment.load(folder / name) for name in LANGUAGES}, Aspects(mined))


@dataclass(frozen=True, eq=False)
class Opinions:
    """Everything that was found: what a snapshot keeps of reviews."""

    judges: Judges
    documents: Texts
    """JSON of `Read`, by item id."""
    names: Texts
    """Item ids, sorted."""
    facts: ReviewFacts

    def of(self, item: str) -> ItemReviews | None:
        """What the reviews of this item say; None without any."""
        read = self.read(item)
        return None if read is None else read.told

    def read(self, item: str) -> Read | None:
        """The same with what only the next learn needs. A binary search in the sorted ids."""
        low, high = 0, len(self.names)
        while low < high:
            middle = (low + high) // 2
            if self.names[middle] < item:
                low = middle + 1
            else:
                high = middle
        if low == len(self.names) or self.names[low] != item:
            return None
        return msgspec.json.decode(self.documents.raw(low), type=Read)

    def save(self, folder: Path) -> None:
        """Flat arrays and JSON into the (existing, empty) folder: equal reviews give equal bytes."""
        (folder / "judges").mkdir()
        self.judges.save(folder / "judges")
        (folder / "facts.json").write_bytes(msgspec.json.encode(self.facts, order="sorted"))
        for name, texts in (("documents", self.documents), ("names", self.names)):
            np.save(folder / f"{name}.blob.npy", texts.blob)
            np.save(folder / f"{name}.offsets.npy", texts.offsets)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Memory-map what `save` wrote."""
        held = {
            name: Texts(mapped(folder / f"{name}.blob.npy"), mapped(folder / f"{name}.offsets.npy"))
            for name in ("documents", "names")
        }
        facts = msgspec.json.decode((folder / "facts.json").read_bytes(), type=ReviewFacts)
        return cls(Judges.load(folder / "judges"), held["documents"], held["names"], facts)


@dataclass(frozen=True, slots=True)
class Analysis:
    """What an analysis found."""

    opinions: Opinions
    flags: dict[str, tuple[str, ...]]
    """{review: why it may be no honest one} of those with any reason."""
    ratings: Ratings
    """Of the items that were named, in their order."""


def analyse(
    scan: Callable[[], Iterable[KeptReview]],
    index: Mapping[str, int],
    options: AnalysisOptions | None = None,
    *,
    learnable: Callable[[str], bool] = lambda _: True,
    before: Opinions | None = None,
) -> Analysis:
    """Read everything. `index`: {item id: row}; `learnable`: may judges be taught by what this user wrote?"""
    options = options or AnalysisOptions()
    watch, labels = Watch(options.spam), defaultdict[str, list[int]](list)
    for kept in scan():
        watch.see(kept)
        if _label(kept) is not None and learnable(kept.review.user):
            labels[detect(kept.review.words)].append(kept.number)
    flags = watch.found()
    judges = _taught(scan, labels, flags, options, learnable)
    reader = _Reader(judges, options, before)
    rows: list[tuple[int, float, tuple[float, ...]]] = []
    reads: dict[str, Read] = {}
    count, stars = 0, np.zeros(2)
    for item, group in groupby(scan(), key=lambda kept: kept.review.item):
        held = list(group)
        count += len(held)
        read, shown = reader.read(item, held, flags)
        for name in read.mismatched:
            flags[name] = tuple(sorted({*flags.get(name, ()), "mismatch"}))
        reads[item] = read
        given = [each.review.stars for each in shown if each.review.stars is not None]
        stars += (len(given), sum(given))
        if item in index:
            rows += _sums(index[item], shown, read)
    names = sorted(reads)
    facts = ReviewFacts(
        reviews=count,
        items=len(names),
        flagged=len(flags),
        mean=round(float(stars[1] / stars[0]), 4) if stars[0] else None,
        judges=judges.facts(),
        mined=judges.aspects.mined,
    )
    opinions = Opinions(
        judges,
        Texts.of(msgspec.json.encode(reads[name], order="sorted") for name in names),
        Texts.of(names),
        facts,
    )
    return Analysis(opinions, flags, _ratings(rows, len(index)))


def _label(kept: KeptReview) -> bool | None:
    """Pleased or displeased, by the stars; None where they do not say, or there are no words."""
    stars = kept.review.stars
    if stars is None or 2.25 < stars < 3.75 or not kept.review.words or kept.verdict == "hide":
        return None
    return stars > 3


def _taught(
    scan: Callable[[], Iterable[KeptReview]],
    labels: Mapping[str, Sequence[int]],
    flags: Mapping[str, Sequence[str]],
    options: AnalysisOptions,
    learnable: Callable[[str], bool],
) -> Judges:
    """Judges taught by the first labelled reviews, and the aspects that those speak of."""
    upto = {name: _cut(numbers, options.sentiment.fewest) for name, numbers in labels.items()}
    texts: dict[str, list[str]] = {name: [] for name in LANGUAGES}
    pleased: dict[str, list[bool]] = {name: [] for name in LANGUAGES}
    spoken: list[tuple[str, str]] = []
    for kept in scan() if any(upto.values()) else ():
        label = _label(kept)
        if label is None or kept.review.id in flags or not learnable(kept.review.user):
            continue
        words = kept.review.words
        language = detect(words)
        if kept.number <= upto[language]:
            texts[language].append(words)
            pleased[language].append(label)
            spoken.append((kept.review.item, words))
    judges = {
        name: learn_sentiment(name, texts[name], np.array(pleased[name], np.bool_), options.sentiment)
        for name in LANGUAGES
    }
    mined = mine(spoken[:MOST_TAUGHT], {name: judge.lexicon for name, judge in judges.items()})
    return Judges(judges, Aspects(mined))


def _cut(numbers: Sequence[int], fewest: int) -> int:
    """The number of the last review that teaches: the first 300, 375, 469, ... of them do; 0 where they are too few."""
    size, ordered = float(fewest), sorted(numbers)
    if len(ordered) < size:
        return 0
    while size * STEP <= min(len(ordered), MOST_TAUGHT):
        size *= STEP
    return ordered[int(size) - 1]


@dataclass(slots=True)
class _Reader:
    """Reads one item after the other."""

    judges: Judges
    options: AnalysisOptions
    before: Opinions | None
    seed: bytes = b""

    def __post_init__(self) -> None:
        self.seed = self.judges.digest() + msgspec.json.encode((self.options.sentences, repr(self.options.spam)))

    def read(
        self, item: str, held: Sequence[KeptReview], flags: Mapping[str, Sequence[str]]
    ) -> tuple[Read, list[KeptReview]]:
        """(what is found, the reviews that count)."""
        shown = [msgspec.structs.replace(each, flags=tuple(flags.get(each.review.id, ()))) for each in held]
        shown = [each for each in shown if each.shown]
        key = self._key(shown)
        known = None if self.before is None else self.before.read(item)
        if known is None or known.key != key:
            known = self._anew(item, key, shown)
        wrong = set(known.mismatched)
        return known, [each for each in shown if each.review.id not in wrong]

    def _key(self, shown: Sequence[KeptReview]) -> str:
        digest = blake2b(self.seed, digest_size=16)
        for each in shown:
            digest.update(msgspec.json.encode((each.review, each.verdict), order="sorted"))
        return digest.hexdigest()

    def _anew(self, item: str, key: str, shown: Sequence[KeptReview]) -> Read:
        words = [each.review.words for each in shown]
        told = self.judges.polarity(words)
        wrong = {
            each.review.id
            for each, text, value in zip(shown, words, told, strict=True)
            if not each.verdict
            and self.judges.of[detect(text)].origin == "learned"
            and mismatched(each.review.stars, value, text, self.options.spam)
        }
        counted = [at for at, each in enumerate(shown) if each.review.id not in wrong]
        reviews = [shown[at] for at in counted]
        texts, values = [words[at] for at in counted], [told[at] for at in counted]
        opinions = [self._opinions(text) for text in texts]
        spoken = [value for text, value in zip(texts, values, strict=True) if text]
        told_all = ItemReviews(
            item=item,
            reviews=len(spoken),
            sentiment=round(sum(spoken) / len(spoken), 4) if spoken else 0.0,
            aspects=_aspects(reviews, texts, opinions),
            summary=self._summary(reviews, texts, opinions),
            origin=self._origin(texts),
        )
        return Read(
            key,
            told_all,
            tuple(value if text else 2.0 for text, value in zip(texts, values, strict=True)),
            tuple(_mean([each.value for each in found if each.aspect == "quality"]) for found in opinions),
            tuple(sorted(wrong)),
        )

    def _opinions(self, text: str) -> list[Opinion]:
        language = detect(text)
        return self.judges.aspects.opinions(text, self.judges.of[language].lexicon, language)

    def _origin(self, texts: Sequence[str]) -> str:
        """Who judged most of them."""
        origins = Counter(self.judges.of[detect(text)].origin for text in texts if text)
        return max(sorted(origins), key=lambda name: origins[name]) if origins else "lexicon"

    def _summary(
        self, reviews: Sequence[KeptReview], texts: Sequence[str], opinions: Sequence[Sequence[Opinion]]
    ) -> tuple[Quote, ...]:
        languages = Counter(detect(text) for text in texts if text)
        if not languages:
            return ()
        main = max(sorted(languages), key=lambda name: languages[name])
        candidates: list[Sentence] = []
        for row, (kept, text, found) in enumerate(zip(reviews, texts, opinions, strict=True)):
            if detect(text) != main:
                continue
            weight = 1.0 + kept.review.helpful + kept.review.verified
            for at, sentence in enumerate(sentences(text)[:40]):
                said = [each for each in found if each.sentence == at]
                names = tuple(dict.fromkeys(each.aspect for each in said))
                candidates.append(Sentence(sentence, row, 0.0, names, weight))
        polarity = self.judges.polarity([each.text for each in candidates])
        candidates = [
            Sentence(each.text, each.review, value, each.aspects, each.weight)
            for each, value in zip(candidates, polarity, strict=True)
        ]
        spoken = Counter(each.aspect for found in opinions for each in found)
        chosen = [candidates[at] for at in summarise(candidates, spoken, self.options.sentences)]
        return tuple(_quote(each.text, reviews[each.review], each.value, each.aspects) for each in chosen)


def _quote(text: str, kept: KeptReview, value: float, aspects: tuple[str, ...] = ()) -> Quote:
    stars = kept.review.stars
    return Quote(text=text, review=kept.review.id, polarity=round(value, 3), aspects=aspects, stars=stars)


def _aspects(
    reviews: Sequence[KeptReview], texts: Sequence[str], opinions: Sequence[Sequence[Opinion]]
) -> tuple[AspectTold, ...]:
    """What is said of each aspect, with the clearest sentence of either side (of two, that of the more helpful)."""
    said: defaultdict[str, list[tuple[float, int, int]]] = defaultdict(list)
    for row, found in enumerate(opinions):
        for each in found:
            said[each.aspect].append((each.value, row, each.sentence))
    out = []
    for name, rows in said.items():
        values = [value for value, _, _ in rows]
        quotes = []
        for side in (1, -1):
            fit = [each for each in rows if each[0] * side > 0.1]
            if fit:
                value, row, at = max(fit, key=lambda each: (_clear(each, reviews, side), -each[1], -each[2]))
                quotes.append(_quote(sentences(texts[row])[at][:300], reviews[row], value, (name,)))
        out.append(
            AspectTold(
                aspect=name,
                praise=sum(value > 0 for value in values),
                complaint=sum(value < 0 for value in values),
                score=round(sum(values) / len(values), 4),
                quotes=tuple(quotes),
            )
        )
    out.sort(key=lambda told: (-(told.praise + told.complaint), told.aspect))
    return tuple(out[:ASPECTS_SHOWN])


def _clear(each: tuple[float, int, int], reviews: Sequence[KeptReview], side: int) -> float:
    value, row, _ = each
    return value * side + 0.1 * min(reviews[row].review.helpful, 5)


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4) if values else 2.0


def _sums(row: int, shown: Sequence[KeptReview], read: Read) -> Iterator[tuple[int, float, tuple[float, ...]]]:
    """What each review adds to the running sums of its item (see `schema.reviews.SUMS`)."""
    for kept, sentiment, quality in zip(shown, read.sentiment, read.quality, strict=True):
        stars = kept.review.stars
        told, judged = float(sentiment < 2), float(quality < 2)
        values = (float(stars is not None), stars or 0.0, told, told * sentiment, judged, judged * quality)
        yield row, kept.arrived, values


def _ratings(rows: Sequence[tuple[int, float, tuple[float, ...]]], n_items: int) -> Ratings:
    return Ratings.of(
        np.array([row for row, _, _ in rows], np.int32),
        np.array([time for _, time, _ in rows], np.float64),
        np.array([values for _, _, values in rows], np.float64).reshape(len(rows), 6),
        n_items,
    )
