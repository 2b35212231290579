"""Which words of a query are searched? What was typed, with corrections in and conditions out."""

from __future__ import annotations

from collections.abc import Sequence

from bodega.schema import Meaning
from bodega.understanding import language
from bodega.understanding.query.claims import Claim
from bodega.understanding.query.reading import Reading, Token, clean
from bodega.understanding.query.spelling import Speller
from bodega.understanding.query.units import Worth

Edit = tuple[int, int, str]
"""[start, end) of the typed query, and what stands there instead."""

_LINKS = "for and with but in at by the a an of or from priced 的 和 ,"
_TRAILING = frozenset(_LINKS.split())
_MARKS = frozenset(",;.，、。\"“”'")
_LEADING = frozenset({"and", "but", "or", ",", "的"})
_CONDITIONS = (
    "under below between less than over above more most least around about without excluding except not no non and or "
    "for with max maximum min minimum cheap cheaper usd eur gbp dollar dollars bucks euro euros size pack set box of"
)
_GRAMMAR = frozenset(_CONDITIONS.split()) | language.STOP_WORDS


def mended(
    reading: Reading, tokens: Sequence[Token], names: Sequence[Claim], speller: Speller, units: Worth
) -> tuple[Reading, list[Meaning]]:
    """The query with the words that the shop does not know replaced by those that were meant, and each replacement.

    Names, units, words of conditions and a beginning that is still being typed are right as they are.
    """
    sure = {place for place, token in enumerate(tokens) if token.word in _GRAMMAR or token.word in units}
    sure |= {place for place, token in enumerate(tokens) if any(one.low <= token.low < one.high for one in names)}
    if len(tokens) - 1 not in sure and _begins(reading, tokens, speller):
        sure.add(len(tokens) - 1)
    correction = speller.correct([token.word for token in tokens], sure=frozenset(sure))
    if not correction.changed:
        return reading, []
    edits: list[Edit] = []
    told: list[Meaning] = []
    for fix in sorted(correction.fixes):
        low, high = tokens[fix.at].low, tokens[fix.at + fix.size - 1].high
        said = " ".join(fix.words)
        edits.append((low, high, said))
        start, end = reading.span(low, high)
        typed, confidence = reading.typed[start:end], round(fix.confidence, 3)
        told.append(Meaning(kind="spelling", text=typed, start=start, end=end, values=(said,), confidence=confidence))
    return reading.replaced(edits), told


def _begins(reading: Reading, tokens: Sequence[Token], speller: Speller) -> bool:
    """Is the last word the beginning of one that the shop knows?"""
    word = tokens[-1].word
    if not reading.text[-1:].isalnum() or not word.isalpha() or len(word) < 2 or tokens[-1].han:
        return False
    return not speller.knows(word) and bool(speller.words.starting(word, 1))


def searched(reading: Reading, gone: Sequence[Claim], edits: Sequence[Edit], *, may_be_empty: bool) -> str:
    """The words to search. Unless a condition says something alone ("under 50"), they are never empty."""
    spans = {reading.span(claim.low, claim.high) for claim in gone}
    if not spans:
        return clean(edited(reading.typed, edits))
    kept = [edit for edit in edits if not any(start <= edit[0] < end for start, end in spans)]
    words = clean(edited(reading.typed, [*kept, *((start, end, " ") for start, end in spans)])).split()
    while words and (words[-1].casefold() in _TRAILING or _MARKS.issuperset(words[-1])):
        words.pop()
    while words and (words[0].casefold() in _LEADING or _MARKS.issuperset(words[0])):
        words.pop(0)
    if not words and not may_be_empty:
        return clean(edited(reading.typed, edits))
    return " ".join(words).strip(" ,;，、")


def edited(typed: str, edits: Sequence[Edit]) -> str:
    """A text with parts said otherwise; edits do not overlap, or only with parts that go.

    >>> edited("red drees", [(4, 9, "dress")])
    'red dress'
    """
    out, at = "", 0
    for start, end, said in sorted(edits):
        out += typed[at:start] + said
        at = max(at, end)
    return out + typed[at:]
