"""Which words of a query name a brand, a category, a colour or another value of this shop? Longest match wins.

Idea: every name (`naming`) stands in one dictionary under its folded words (singular, but for brands). A query looks up
each run of up to six words, longest first; Chinese words are those that jieba cuts, so 苹果 is not found in 苹果醋.
Where a name has several senses (Apple the brand, apples the category), each is kept with its share. The confidence of
a sense is the share of the items that say the word which have the value: a brand called "Next" is rarely meant.

Cost: 10 to 40 microseconds a query; 120 bytes a name in memory. A dictionary is used and no automaton: see
docs/decisions/0014-query-understanding.md.
Not for: names spread over a query, free text, misspelt names (`spelling` comes before).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.schema import ItemTable, Meaning, Texts
from bodega.schema.table import mapped
from bodega.understanding.query.claims import Claim
from bodega.understanding.query.naming import KINDS, MOST_WORDS, Name, names_of, plain_key, surface_key
from bodega.understanding.query.reading import Reading, Token

LEAST_SHARE = 0.1
"""Senses with less confidence are not told."""
SINGLE = 0.3
"""At most so sure is a Chinese character that stands alone: 黄 in 黄油泵 is no colour."""
MOST_SENSES = 3
MOST_VALUES_TOLD = 30
_BRAND = KINDS.index("brand")
_GAPS = frozenset(" -&.'+/")


class Sense(NamedTuple):
    """What a name may mean."""

    kind: str
    field: str
    values: tuple[str, ...]
    confidence: float


class _Facts(msgspec.Struct, frozen=True):
    fields: list[str]


class _Table(NamedTuple):
    """All names and senses as columns; name i has the senses starts[i]:starts[i+1]."""

    keys: Texts
    starts: NDArray[np.int32]
    kind: NDArray[np.int8]
    field: NDArray[np.int16]
    confidence: NDArray[np.float32]
    value_starts: NDArray[np.int32]
    values: NDArray[np.int32]
    """Rows of `texts`."""
    texts: Texts


_COLUMNS = ("starts", "kind", "field", "confidence", "value_starts", "values")


class Gazetteer:
    """The names of one catalog."""

    def __init__(self, fields: list[str], table: _Table) -> None:
        self._fields = fields
        self._table = table
        self._row = {key: row for row, key in enumerate(table.keys)}
        self._longest = _longest(self._row)

    @classmethod
    def learn(cls, items: ItemTable, df: Callable[[str], int]) -> Self:
        """`df`: in how many titles a word stands."""
        senses = _gather(names_of(items))
        fields = sorted({field for held in senses.values() for _, field in held})
        return cls(fields, _table(senses, fields, df))

    def __len__(self) -> int:
        return len(self._table.keys)

    def senses(self, tokens: list[Token]) -> list[Sense]:
        """What these words together may mean, likeliest first; empty where they are no name."""
        surface, plain = surface_key(tokens), plain_key(tokens)
        found = [sense for sense in self._at(self._row.get(surface, -1)) if sense.kind == "brand"]
        if not found and len(tokens) == 2 and not tokens[0].han:
            glued = self._row.get(tokens[0].word + tokens[1].word, -1)
            found = [sense for sense in self._at(glued) if sense.kind == "brand"]
        found += [sense for sense in self._at(self._row.get(plain, -1)) if sense.kind != "brand"]
        found.sort(key=lambda sense: (-sense.confidence, KINDS.index(sense.kind), sense.field))
        return found[:MOST_SENSES]

    def longest(self, reading: Reading, tokens: list[Token], at: int) -> tuple[int, list[Sense]]:
        """(how many words, what they may mean) of the longest name that begins at token `at`; (0, []) without one."""
        most = MOST_WORDS if tokens[at].han else self._longest.get(tokens[at].word[:3], 0)
        for size in range(min(most, len(tokens) - at), 0, -1):
            run = tokens[at : at + size]
            if size > 1 and not _together(reading.text, run):
                continue
            found = self.senses(run)
            if found:
                return size, found
        return 0, []

    def claims(self, reading: Reading, tokens: list[Token]) -> list[Claim]:
        """Every name of a query, from left to right; the senses of one name lie on the same words."""
        out: list[Claim] = []
        at = 0
        while at < len(tokens):
            size, found = self.longest(reading, tokens, at)
            if size:
                low, high = tokens[at].low, tokens[at + size - 1].high
                out += [Claim(low, high, meaning_of(sense)) for sense in found]
            at += size or 1
        return out

    def save(self, folder: Path) -> None:
        for name in ("keys", "texts"):
            texts: Texts = getattr(self._table, name)
            np.save(folder / f"names.{name}.blob.npy", texts.blob)
            np.save(folder / f"names.{name}.offsets.npy", texts.offsets)
        for name in _COLUMNS:
            np.save(folder / f"names.{name}.npy", getattr(self._table, name))
        (folder / "names.json").write_bytes(msgspec.json.encode(_Facts(self._fields)))

    @classmethod
    def load(cls, folder: Path) -> Self:
        facts = msgspec.json.decode((folder / "names.json").read_bytes(), type=_Facts)
        keys, texts = (
            Texts(mapped(folder / f"names.{name}.blob.npy"), mapped(folder / f"names.{name}.offsets.npy"))
            for name in ("keys", "texts")
        )
        columns = {name: mapped(folder / f"names.{name}.npy") for name in _COLUMNS}
        return cls(facts.fields, _Table(keys=keys, texts=texts, **columns))

    def _at(self, row: int) -> list[Sense]:
        if row < 0:
            return []
        table = self._table
        out = []
        for place in range(int(table.starts[row]), int(table.starts[row + 1])):
            codes = table.values[table.value_starts[place] : table.value_starts[place + 1]].tolist()
            values = tuple(table.texts[code] for code in codes)
            field = self._fields[int(table.field[place])]
            out.append(Sense(KINDS[int(table.kind[place])], field, values, round(float(table.confidence[place]), 3)))
        return out


def meaning_of(sense: Sense) -> Meaning:
    """A soft meaning; its place is told by the claim."""
    return Meaning(kind=sense.kind, text="", field=sense.field, values=sense.values, confidence=sense.confidence)


def _together(text: str, run: list[Token]) -> bool:
    """Do only blanks, hyphens and the like stand between these words?"""
    return all(_GAPS.issuperset(text[one.high : two.low]) for one, two in pairwise(run))


def _longest(keys: Iterable[str]) -> dict[str, int]:
    """{first three letters: most words of a name that begins so}: most words of a query begin no name at all."""
    found: dict[str, int] = {}
    for key in keys:
        words = key.count(" ") + 1 + sum("\u3400" <= char <= "\u9fff" for char in key)
        for start in {key[:3], key.partition(" ")[0][:3]}:
            found[start] = max(found.get(start, 0), min(words + 1, MOST_WORDS))
    return found


Held = dict[tuple[str, str], dict[str, int]]
"""{(kind, field): {value: items}} of one name."""


def _gather(names: Iterable[Name]) -> dict[str, Held]:
    found: dict[str, Held] = {}
    for name in names:
        values = found.setdefault(name.key, {}).setdefault((name.kind, name.field), {})
        for value in name.values:
            values[value] = max(values.get(value, 0), name.items // len(name.values) or 1)
    return found


def _table(names: dict[str, Held], fields: list[str], df: Callable[[str], int]) -> _Table:
    keys: list[str] = []
    starts, kinds, columns, confidences, value_starts = [0], list[int](), list[int](), list[float](), [0]
    texts: list[str] = []
    for key in sorted(names):
        senses = _shares(key, names[key], df)
        if not senses:
            continue
        keys.append(key)
        for (kind, field), values, share in senses:
            kinds.append(KINDS.index(kind))
            columns.append(fields.index(field))
            confidences.append(share)
            texts += values
            value_starts.append(len(texts))
        starts.append(len(kinds))
    vocabulary = sorted(set(texts))
    code = {text: number for number, text in enumerate(vocabulary)}
    return _Table(
        keys=Texts.of(keys),
        starts=np.array(starts, np.int32),
        kind=np.array(kinds, np.int8),
        field=np.array(columns, np.int16),
        confidence=np.array(confidences, np.float32),
        value_starts=np.array(value_starts, np.int32),
        values=np.array([code[text] for text in texts], np.int32),
        texts=Texts.of(vocabulary),
    )


def _shares(key: str, held: Held, df: Callable[[str], int]) -> list[tuple[tuple[str, str], list[str], float]]:
    """The senses worth telling, with the share of the items that say the word."""
    total = {sense: sum(values.values()) for sense, values in held.items()}
    said = df(key) if " " not in key else 0
    out = []
    for sense, values in held.items():
        share = total[sense] / max(said, *total.values())
        if share >= LEAST_SHARE:
            best = sorted(values, key=lambda value: (-values[value], value))[:MOST_VALUES_TOLD]
            single = len(key) == 1 and not key.isascii()
            out.append((sense, best, min(SINGLE if single else 1.0, share)))
    return sorted(out, key=lambda entry: (-entry[2], entry[0]))
