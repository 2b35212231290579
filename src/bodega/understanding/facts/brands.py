"""Which words of a title are its brand, where no list holds the name yet? A tagger taught by the shop's own titles.

Idea: titles of items whose brand is known, and that say it, are examples nobody had to tag (distant supervision). A
conditional random field (python-crfsuite, the extra `tagger`) sees shapes and places of words and their neighbours but
never the brand words themselves half of the time, so that it learns where brands stand, not which there are.
Cost: about 5 s for 4,000 titles; 30 microseconds a title. Not for: shops whose titles do not say brands.
Papers: Mintz et al. 2009 (distant supervision); Lafferty, McCallum & Pereira 2001 (CRF).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.errors import MissingExtra
from bodega.understanding.facts.mentions import Candidate, Mention
from bodega.understanding.facts.passages import Passage, Word

FEWEST, MOST = 300, 4_000
"""Titles with a brand in them that a tagger needs, and is taught at most."""
BRANDS = 30
"""Different brands that the examples must name."""
LONGEST = 4
"""Words of a brand."""
ITERATIONS = 60
LEAST = 0.3
"""Spans with a lower probability are not told."""
Found = dict[tuple[int, str], Candidate]


class BrandTagger:
    """Tags one span of a title as the brand; `target` is the column's number."""

    def __init__(self, target: int, model: bytes, common: frozenset[str]) -> None:
        self.target = target
        self._model = model
        self._common = common
        self._crf: Any = None

    @classmethod
    def learn(
        cls,
        target: int,
        examples: Sequence[tuple[list[Passage], set[str]]],
        fold: NDArray[np.int64],
        found: Sequence[Found],
    ) -> BrandTagger | None:
        """Teach one tagger by all titles; taggers of one half each mark the candidates of the other half. None without
        the library or with too few titles that say their brand."""
        marked = [
            (row, words, tags) for row, one in enumerate(examples) if (got := _marked(*one)) for words, tags in [got]
        ]
        told = [one for one in marked if one[2].count("B")]
        if len(told) < FEWEST or len({_name(words, tags) for _, words, tags in told}) < BRANDS:
            return None
        try:
            halves = [
                cls._taught(target, [one for one in told if fold[one[0]] != half][: MOST // 2]) for half in (0, 1)
            ]
        except MissingExtra:
            return None
        for row, (passages, _) in enumerate(examples):
            halves[int(fold[row])].add(found[row], passages)
        return cls._taught(target, told[:MOST])

    @classmethod
    def _taught(cls, target: int, told: Sequence[tuple[int, list[Word], list[str]]]) -> BrandTagger:
        crf = _crfsuite()
        count: dict[str, int] = {}
        for _, words, tags in told:
            for word, tag in zip(words, tags, strict=True):
                if tag == "O":
                    count[word.text] = count.get(word.text, 0) + 1
        common = frozenset(word for word, times in count.items() if times >= 5)
        made = cls(target, b"", common)
        trainer = crf.Trainer(algorithm="lbfgs", verbose=False)
        trainer.set_params({"c1": 0.1, "c2": 0.1, "max_iterations": ITERATIONS, "feature.minfreq": 3})
        for _, words, tags in told:
            trainer.append(made._features(words), tags)
        with tempfile.TemporaryDirectory(prefix="bodega-brands-") as folder:
            path = Path(folder) / "model.crfsuite"
            trainer.train(str(path))
            made._model = path.read_bytes()
        return made

    def add(self, found: Found, passages: Sequence[Passage]) -> None:
        """Mark the candidate that the tagger sees, or add it."""
        title = next((one for one in passages if one.place == "title"), None)
        if title is None or not title.words:
            return
        if self._crf is None:
            self._crf = _crfsuite().Tagger()
            self._crf.open_inmemory(self._model)
        words = title.words[:40]
        self._crf.set(self._features(words))
        tags = self._crf.tag()
        at = next((place for place, tag in enumerate(tags) if tag == "B"), -1)
        if at < 0:
            return
        end = at + 1
        while end < len(tags) and tags[end] == "I" and end - at < LONGEST:
            end += 1
        chance = min(float(self._crf.marginal("B" if place == at else "I", place)) for place in range(at, end))
        if chance < LEAST:
            return
        start, stop = words[at].start, words[end - 1].end
        text = title.text[start:stop]
        same = [
            one
            for (target, _), one in found.items()
            if target == self.target
            and any(m.place == "title" and m.start == start and m.end == stop for m in one.mentions)
        ]
        if same:
            same[0].tagged = chance
            return
        candidate = Candidate(self.target, text, shop=False, tagged=chance)
        candidate.mentions.append(
            Mention("title", title.field, start, stop, text, end - at, at == 0, end == len(title.words))
        )
        found[self.target, text] = candidate

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "brands.crfsuite").write_bytes(self._model)
        facts = {"common": sorted(self._common), "target": self.target}
        (folder / "brands.json").write_bytes(msgspec.json.encode(facts, order="sorted"))

    @classmethod
    def load(cls, folder: Path) -> BrandTagger:
        facts: Mapping[str, Any] = msgspec.json.decode((folder / "brands.json").read_bytes())
        return cls(int(facts["target"]), (folder / "brands.crfsuite").read_bytes(), frozenset(facts["common"]))

    def _features(self, words: Sequence[Word]) -> list[list[str]]:
        shown = [word.text if word.text in self._common else "?" for word in words]
        out = []
        for at, word in enumerate(words):
            gap = words[at + 1].start - word.end if at + 1 < len(words) else -1
            told = ["bias", f"at={min(at, 5)}", f"w={shown[at]}", f"s={_shape(word.text)}", f"gap={min(gap, 3)}"]
            told.append(f"left={len(words) - at if len(words) - at < 3 else 3}")
            for step in (-2, -1, 1, 2):
                inside = 0 <= at + step < len(words)
                told.append(f"w{step}={shown[at + step] if inside else '<>'}")
                if step in (-1, 1):
                    told.append(f"s{step}={_shape(words[at + step].text) if inside else '<>'}")
            before = word.start - words[at - 1].end if at else -1
            told.append(f"before={min(before, 3)}")
            out.append(told)
        return out


def _marked(passages: Sequence[Passage], brands: set[str]) -> tuple[list[Word], list[str]] | None:
    """The words of the title with their tags, where the brand is known."""
    title = next((one for one in passages if one.place == "title"), None)
    if title is None or not brands:
        return None
    words = title.words[:40]
    tags = ["O"] * len(words)
    for brand in sorted(brands):
        size = brand.count(" ") + 1
        for at in range(len(words) - size + 1):
            if " ".join(word.text for word in words[at : at + size]) == brand:
                tags[at : at + size] = ["B"] + ["I"] * (size - 1)
                return words, tags
    return words, tags


def _name(words: Sequence[Word], tags: Sequence[str]) -> str:
    return " ".join(word.text for word, tag in zip(words, tags, strict=True) if tag != "O")


def _shape(word: str) -> str:
    if word.isdigit():
        return "9"
    if "\u3400" <= word[0] <= "\u9fff":
        return f"h{min(len(word), 3)}"
    return ("x9" if any(char.isdigit() for char in word) else "x") + str(min(len(word) // 3, 3))


def _crfsuite() -> Any:
    try:
        import pycrfsuite
    except ImportError as error:
        raise MissingExtra.named("tagger", needed_for="tagging brands in titles") from error
    return pycrfsuite
