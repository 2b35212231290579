"""Which characters of a title name the product, the brand, the model? Sequence tagging learned from tagged examples.

A conditional random field (python-crfsuite, the extra `tagger`) over characters. What each character is told: itself
and its neighbours, the word that the segmenter puts it in and its place there, what kind of character it is, and which
*known names* cover it: the spans seen in the examples. Names are looked up in another half of the examples than they
were taken from, or the field would learn to trust a list that is never wrong on its own examples.
Cost: 6,000 titles train in about two minutes on one core; a title takes about .3 ms; some MB.
Not for: understanding queries at request time without examples (`gazetteer` does that from the catalog's own columns).
Papers: Lafferty, McCallum & Pereira 2001 (CRF); Ratinov & Roth 2009 (gazetteer features).
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import rjieba

from bodega.errors import MissingExtra
from bodega.understanding.query.grams import Grams

LONGEST_NAME = 16
"""Characters of a known name."""
OUTSIDE = "O"
SEED = 7


class Tagged(NamedTuple):
    """A title as characters, each with its tag: `B-kind`, `I-kind` or `O`."""

    chars: tuple[str, ...]
    tags: tuple[str, ...]


class Span(NamedTuple):
    """Characters [start, end) name something of this kind."""

    start: int
    end: int
    kind: str


class TaggerOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Chosen on the Taobao development titles (docs/log.md)."""

    c1: float = 0.05
    """L1 penalty."""
    c2: float = 0.05
    """L2 penalty."""
    iterations: int = 120
    least: int = 1
    """Times a feature must occur."""
    words: bool = True
    names: bool = True
    grams: bool = False
    """Tell groups of characters and words too, learned from texts that nobody tagged (`fit(..., texts=...)`)."""


@dataclass(frozen=True, slots=True)
class Names:
    """Known names: {kind: {name: how often}}."""

    held: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, titles: Iterable[Tagged]) -> Names:
        counts: dict[str, Counter[str]] = {}
        for title in titles:
            for span in spans(title.tags):
                name = "".join(title.chars[span.start : span.end])
                if len(name) <= LONGEST_NAME:
                    counts.setdefault(span.kind, Counter())[name] += 1
        return cls({kind: dict(sorted(own.items())) for kind, own in sorted(counts.items())})

    def covering(self, chars: Sequence[str]) -> list[dict[str, str]]:
        """For each character the place (B, I, E, S) it has in the longest known name over it: {kind: place}."""
        out: list[dict[str, str]] = [{} for _ in chars]
        for kind, names in self.held.items():
            at = 0
            while at < len(chars):
                size = self._longest(names, chars, at)
                for place in range(at, at + size):
                    mark = "S" if size == 1 else "B" if place == at else "E" if place == at + size - 1 else "I"
                    out[place][kind] = mark
                at += max(1, size)
        return out

    def tags(self, chars: Sequence[str]) -> list[str]:
        """What a dictionary alone would say: the longest known name wins, the more frequent kind where two do."""
        tags = [OUTSIDE] * len(chars)
        at = 0
        while at < len(chars):
            found = [(self._longest(names, chars, at), kind) for kind, names in self.held.items()]
            size, kind = max(
                found, default=(0, ""), key=lambda one: (one[0], self._count(one[1], chars, at, one[0]), one[1])
            )
            for place in range(at, at + size):
                tags[place] = f"{'B' if place == at else 'I'}-{kind}"
            at += max(1, size)
        return tags

    def _count(self, kind: str, chars: Sequence[str], at: int, size: int) -> int:
        return self.held[kind].get("".join(chars[at : at + size]), 0)

    @staticmethod
    def _longest(names: Mapping[str, int], chars: Sequence[str], at: int) -> int:
        for size in range(min(LONGEST_NAME, len(chars) - at), 0, -1):
            if "".join(chars[at : at + size]) in names:
                return size
        return 0


class Tagger:
    """Answers: what does each part of a title name? Needs: a few thousand tagged titles, the extra `tagger`.
    Good for: Chinese titles, where words and names are not separated. Cost: see above.
    Relations: `Names.tags` is the dictionary baseline; without `words` and `names` this is the plain CRF baseline.
    """

    def __init__(self, options: TaggerOptions | None = None) -> None:
        self.options = options or TaggerOptions()
        self.names = Names()
        self.grams = Grams()
        self._model = b""
        self._tagger: Any = None

    def fit(self, titles: Sequence[Tagged], texts: Iterable[str] = ()) -> Tagger:
        """Learn from tagged titles (and, with `grams`, from texts without tags). Same titles, same bytes.

        Raises MissingExtra.
        """
        crf = _crfsuite()
        if self.options.grams:
            self.grams = Grams.of([*texts, *("".join(title.chars) for title in titles)], np.random.default_rng(SEED))
        trainer = crf.Trainer(algorithm="lbfgs", verbose=False)
        trainer.set_params(
            {
                "c1": self.options.c1,
                "c2": self.options.c2,
                "max_iterations": self.options.iterations,
                "feature.minfreq": self.options.least,
                "feature.possible_transitions": True,
            }
        )
        halves = titles[::2], titles[1::2]
        known = Names.of(halves[1]), Names.of(halves[0])
        for own, names in zip(halves, known, strict=True):
            for title in own:
                trainer.append(list(self._features(title.chars, names)), list(title.tags))
        with tempfile.TemporaryDirectory(prefix="bodega-tagger-") as folder:
            path = Path(folder) / "model.crfsuite"
            trainer.train(str(path))
            self._model = path.read_bytes()
        self.names = Names.of(titles)
        self._tagger = None
        return self

    def tag(self, text: str | Sequence[str]) -> list[str]:
        """One tag a character."""
        chars = tuple(text)
        if not chars:
            return []
        if self._tagger is None:
            self._tagger = _crfsuite().Tagger()
            self._tagger.open_inmemory(self._model)
        found: list[str] = self._tagger.tag(list(self._features(chars, self.names)))
        return found

    def spans(self, text: str) -> list[Span]:
        """What the text names, in order."""
        return spans(self.tag(text))

    def save(self, folder: Path) -> None:
        """The model as CRFsuite's own flat file (never pickle), names as JSON."""
        (folder / "tagger.crfsuite").write_bytes(self._model)
        facts = {"names": self.names.held, "options": msgspec.to_builtins(self.options)}
        if self.options.grams:
            facts |= {"groups": self.grams.groups, "bound": self.grams.bound}
        (folder / "tagger.json").write_bytes(msgspec.json.encode(facts, order="sorted"))

    @classmethod
    def load(cls, folder: Path) -> Tagger:
        stored = msgspec.json.decode((folder / "tagger.json").read_bytes())
        found = cls(msgspec.convert(stored["options"], TaggerOptions))
        found.names = Names(stored["names"])
        found.grams = Grams(stored.get("groups", {}), stored.get("bound", {}))
        found._model = (folder / "tagger.crfsuite").read_bytes()
        return found

    def _features(self, chars: Sequence[str], names: Names) -> Iterator[list[str]]:
        """What each character is told, as texts."""
        kinds = [_kind(char) for char in chars]
        words = _words(chars) if self.options.words or self.options.grams else []
        covered = names.covering(chars) if self.options.names else []
        for at, char in enumerate(chars):
            told = ["bias", f"c0={char}", f"k0={kinds[at]}"]
            for step in (-2, -1, 1, 2):
                near = at + step
                inside = 0 <= near < len(chars)
                told.append(f"c{step}={chars[near] if inside else '<>'}")
                if step in (-1, 1):
                    told.append(f"b{step}={char}{chars[near] if inside else '<>'}")
                    told.append(f"k{step}={kinds[near] if inside else '<>'}")
            if 0 < at < len(chars) - 1:
                told.append(f"t={chars[at - 1]}{char}{chars[at + 1]}")
            if self.options.words:
                told += _about(words, at)
            if self.options.grams:
                told += _of_groups(self.grams, chars, words, at)
            for step in (-1, 0, 1):
                if covered and 0 <= at + step < len(chars):
                    told += [f"n{step}={kind}{place}" for kind, place in covered[at + step].items()]
            yield told


def spans(tags: Sequence[str]) -> list[Span]:
    """The spans that a sequence of tags names; an `I-` without its `B-` begins one."""
    out: list[Span] = []
    start, kind = 0, ""
    for at, tag in enumerate((*tags, OUTSIDE)):
        begins = tag.startswith("B-") or (tag.startswith("I-") and tag[2:] != kind)
        if kind and (begins or tag == OUTSIDE):
            out.append(Span(start, at, kind))
            kind = ""
        if begins:
            start, kind = at, tag[2:]
    return out


def f1(truth: Sequence[Sequence[str]], guessed: Sequence[Sequence[str]]) -> tuple[float, float, float]:
    """(precision, recall, F1) of whole spans with their kind, over all titles: the measure of CoNLL 2000."""
    right = named = there = 0
    for one, other in zip(truth, guessed, strict=True):
        real, found = set(spans(one)), set(spans(other))
        right, named, there = right + len(real & found), named + len(found), there + len(real)
    precision, recall = right / max(1, named), right / max(1, there)
    return precision, recall, 2 * precision * recall / max(1e-12, precision + recall)


def _about(words: Sequence[tuple[str, str, str, str]], at: int) -> list[str]:
    word, place, before, after = words[at]
    return [f"w={word}", f"p={place}", f"wp={word}/{place}", f"w-1={before}", f"w+1={after}", f"l={min(4, len(word))}"]


def _of_groups(
    grams: Grams, chars: Sequence[str], words: Sequence[tuple[str, str, str, str]], at: int
) -> Iterator[str]:
    """Groups of the words, characters and pairs around a character, and how its neighbours are bound to it."""
    word, place, before, after = words[at]
    own, left, right = (grams.of_gram("word", one) for one in (word, before, after))
    for size, group in enumerate(own):
        yield f"W{size}={group}{place}"
    for size, (one, other) in enumerate(zip(left[:2], right[:2], strict=True)):
        yield f"WB{size}={one}"
        yield f"WA{size}={other}"
    if len(own) > 1:
        yield f"WBA={left[1]}/{own[1]}"
        yield f"WAB={own[1]}/{right[1]}"
    for step in (-2, -1, 0, 1):
        near = at + step
        if -2 < step < 2 and 0 <= near < len(chars):
            yield from (f"C{size}{step}={group}" for size, group in enumerate(grams.of_gram("char", chars[near])))
        pair = "".join(chars[near : near + 2]) if near >= 0 else "<"
        yield from (f"G{size}{step}={group}" for size, group in enumerate(grams.of_gram("pair", pair)))
        if step in (-1, 0) and 0 <= near < len(chars) - 1:
            yield f"P{step}={grams.bound.get(pair, 'r')}"
    yield f"at={min(at // 4, 8)}"
    yield f"left={min((len(chars) - at) // 4, 8)}"
    if at >= 2:
        yield f"t-={''.join(chars[at - 2 : at + 1])}"
    if at < len(chars) - 2:
        yield f"t+={''.join(chars[at : at + 3])}"


def _words(chars: Sequence[str]) -> list[tuple[str, str, str, str]]:
    """For each character: its word, its place there, the words before and after."""
    cut: list[str] = rjieba.cut("".join(char if len(char) == 1 else char[:1] for char in chars))
    out = []
    for number, word in enumerate(cut):
        before = cut[number - 1] if number else "<>"
        after = cut[number + 1] if number + 1 < len(cut) else "<>"
        for at in range(len(word)):
            place = "S" if len(word) == 1 else "B" if at == 0 else "E" if at == len(word) - 1 else "I"
            out.append((word, place, before, after))
    return out


def _kind(char: str) -> str:
    if char.isdigit():
        return "digit"
    if char.isascii() and char.isalpha():
        return "latin"
    return "letter" if char.isalpha() else "mark"


def _crfsuite() -> Any:
    try:
        import pycrfsuite
    except ImportError as error:
        raise MissingExtra.named("tagger", needed_for="tagging titles") from error
    return pycrfsuite
