"""What must *not* be shown? "not silk", "without sugar", "-leather", "不要真丝"; and when do those words say nothing?

Idea: a refusal is a condition where what is refused is a value of this shop (a material, a colour, a brand) or stands
where only a refused thing can stand, and where titles do not say the very same ("no show socks", "non stick pan", 无糖:
product words).
A refused value also refuses titles that speak of it, unless they say "free", "no" or 无 beside it (`speaks_of`).

Cost: 2 microseconds for a query without a refusing word.
Not for: taste ("not too loud"), opposites ("wireless" refuses no wire).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from bodega.schema import Meaning
from bodega.understanding import language
from bodega.understanding.query.claims import Claim
from bodega.understanding.query.gazetteer import Gazetteer, Sense
from bodega.understanding.query.reading import HAN, Reading, Token, read, words_of
from bodega.understanding.query.titles import Titles

SURE = 0.3
"""Confidence from which a name is taken at its word."""
SHORTEST = 3
KNOWN = 2
"""A word without a field is refused only when so many titles hold it."""
_WORDS = re.compile(
    r"(?<![\w'-])(?P<word>without|excluding|except(?: for)?|not|non|no)(?:[ -]+)(?=\w)|(?<!\S)(?P<minus>-)(?=[a-z]{2})"
)
_HAN_WORDS = re.compile(r"(?P<word>不要|不含有?|不带|除了|不想要)(?=\s?(?!的)\w)")
_LINKING = frozenset({"under", "below", "less", "over", "or", "and", "but", "not", "without", "no", "size"})
_ARTICLES = frozenset({"a", "an", "the", "any", "of", "have", "having"})
_AND = re.compile(r"\s*(?:,|/|or|nor|和|或|或者|、)\s*")
_HAN_RUN = re.compile(rf"\s?([{HAN}a-z0-9]{{1,10}})")
_NAMING = (
    "show slip skid stick iron tie sew drill bake pull rinse see time man one more name wonder fear country "
    "escape limit problem doubt way touch contact mess spill tangle prep knead cook damage heat chip fog glare "
    "toxic gmo dairy alcohol alcoholic fiction woven sterile stretch profit perform flammable breakable "
    "refundable reflective ferrous stop end turn return mercy strings guts glory game limits line wash dig till "
    "crease wrinkle snag fade tear shed rust scratch crush itch enough only yet so just for available working "
    "included today your my another all in to that this too very really sure as at is it me us we you good bad "
    "safe"
)
_PRODUCT_WORDS = frozenset(_NAMING.split())
"""After "no", "non" and "not" these make names of products, or nothing."""
_FREE = re.compile(
    r"(?:\b(?:no|non|not|zero|without|less|faux|fake|vegan|imitation)|0|[无免零低仿]|不含|不带|没有|不要)[ -]?\Z"
)
_AFTER_FREE = re.compile(r"[ -]?(?:free|less)\b")


def refusals_in(reading: Reading, tokens: list[Token], gazetteer: Gazetteer, titles: Titles) -> Iterator[Claim]:
    """Everything that a query refuses, each with the words that say so."""
    text = reading.text
    for match in _WORDS.finditer(text):
        word = match["word"] or "-"
        yield from _refused(reading, tokens, match, word, gazetteer, titles)
    for match in _HAN_WORDS.finditer(text):
        yield from _refused_han(reading, tokens, match, gazetteer, titles)


def speaks_of(meaning: Meaning, title: str) -> bool:
    """Does a title speak of what a refusing meaning refuses? A brand or category is refused by its field only.

    >>> refused = Meaning(kind="not", text="without sugar", values=("sugar",), excludes=True)
    >>> [speaks_of(refused, title) for title in ("Brown sugar 1 kg", "Cola sugar free", "Cola, no sugar", "Cola")]
    [True, False, False, False]
    """
    if meaning.field in ("brand", "category") or not meaning.excludes:
        return False
    return any(_says(pattern, language.fold(title)) for pattern in _patterns(_words_said(meaning)))


def spares(meaning: Meaning, title: str) -> bool:
    """Does a title say the refused word only to say that it is not in it ("Cola sugar free")?

    >>> refused = Meaning(kind="not", text="without sugar", values=("sugar",), excludes=True)
    >>> [spares(refused, title) for title in ("Brown sugar 1 kg", "Cola sugar free", "Cola")]
    [False, True, False]
    """
    folded = language.fold(title)
    said = any(pattern.search(folded) for pattern in _patterns(_words_said(meaning)))
    return said and not speaks_of(meaning, title)


def _says(pattern: re.Pattern[str], title: str) -> bool:
    return any(
        not _FREE.search(title, 0, found.start()) and not _AFTER_FREE.match(title, found.end())
        for found in pattern.finditer(title)
    )


def _words_said(meaning: Meaning) -> str:
    """The refused words as typed, without "not"; values of a field may be said otherwise in titles."""
    if not meaning.field:
        return " ".join(meaning.values)
    text = language.fold(meaning.text)
    found = _WORDS.match(text) or _HAN_WORDS.match(text)
    return text[found.end() :].strip() if found else text


@lru_cache(maxsize=1_000)
def _patterns(said: str) -> tuple[re.Pattern[str], ...]:
    words = [token.word for token in read(said).tokens()]
    if not words:
        return ()
    stems = r"[ -]?".join(re.escape(language.stem(word)) for word in words)
    left, right = (r"(?<![^\W_])", r"(?:e?s|ed|ing|en)?(?![^\W_])") if stems[0].isascii() else ("", "")
    return (re.compile(left + stems + right),)


def _refused(
    reading: Reading, tokens: list[Token], match: re.Match[str], word: str, gazetteer: Gazetteer, titles: Titles
) -> Iterator[Claim]:
    """English: the longest name after the refusing word, else the words to the end; then what follows "or"."""
    at = next((place for place, token in enumerate(tokens) if token.low >= match.end()), len(tokens))
    while at < len(tokens) - 1 and tokens[at].word in _ARTICLES and word != "-":
        at += 1
    low, first = match.start(), True
    while at < len(tokens):
        size, senses = gazetteer.longest(reading, tokens, at)
        senses = _strong(senses)
        size = size if senses else 1
        phrase = first and at > 1 and word not in ("-", "non", "not", "no")
        more = _to_the_end(reading, tokens, at, size, gazetteer) if phrase else 0
        if more:
            size, senses = size + more, []
        run = tokens[at : at + size]
        if not (senses or (first and _said_alone(tokens, run, word, titles))) or _product(run, word, titles):
            return
        yield from _claims(reading, low, run, senses)
        at += len(run)
        link = _AND.match(reading.text, run[-1].high)
        if not link:
            return
        at += at < len(tokens) and tokens[at].low < link.end()  # "or" is a token itself
        if at >= len(tokens) or tokens[at].low != link.end():
            return
        low, first = link.start(), False


def _to_the_end(reading: Reading, tokens: list[Token], at: int, size: int, gazetteer: Gazetteer) -> int:
    """How many plain words follow to the end: "without glass beads" refuses the beads, not all glass."""
    rest = tokens[at + size :]
    if not 0 < len(rest) <= 2 or reading.text[rest[-1].high :].strip(' ".,!?'):
        return 0
    for place, token in enumerate(rest, at + size):
        plain = token.word.isalpha() and token.word not in language.STOP_WORDS and not token.han
        gap = reading.text[tokens[place - 1].high : token.low]
        if not plain or gap != " " or token.word in _LINKING or gazetteer.longest(reading, tokens, place)[0]:
            return 0
    return len(rest)


def _strong(senses: list[Sense]) -> list[Sense]:
    """The likeliest sense, where it is more than a guess, in every field that has it. "Without sugar" speaks of what
    is in a thing, never of the category Sugar."""
    senses = [sense for sense in senses if sense.kind != "category"]
    return [sense for sense in senses if sense.confidence >= SURE and sense.kind == senses[0].kind]


def _product(run: list[Token], refusing: str, titles: Titles) -> bool:
    """Is "no show" part of a name? Where the refused word has a field of its own, it is not."""
    if refusing == "-":
        return False
    word = run[0].word
    return titles.refuse(refusing, word) or (refusing in ("no", "non", "not") and word in _PRODUCT_WORDS)


def _said_alone(tokens: list[Token], run: list[Token], word: str, titles: Titles) -> bool:
    """May words that are no value of any field be refused? Not where they are wished for as well; after "no" and "non",
    which begin so many names, they must be words of titles."""
    said = run[0]
    if word == "-":
        return said is not tokens[0] or titles.df(said.word) > 0
    if not said.word.isalpha() or (len(said.word) < SHORTEST and len(run) == 1) or not titles.size:
        return False
    if word in ("no", "non") and any(titles.df(one.word) < KNOWN for one in run):
        return False
    outside = [token for token in tokens if not run[0].low <= token.low < run[-1].high and token.word != word]
    if {language.stem(token.word) for token in outside} & {language.stem(token.word) for token in run}:
        return False
    if word in ("not", "no", "non"):
        last = run[-1] is tokens[-1]
        return bool(outside) and (last or word == "non" or (word == "no" and tokens[0].word == "no"))
    return True


def _refused_han(
    reading: Reading, tokens: list[Token], match: re.Match[str], gazetteer: Gazetteer, titles: Titles
) -> Iterator[Claim]:
    """Chinese: up to 的, a blank or the end; where more follows, the longest name or the first word of jieba."""
    run = _HAN_RUN.match(reading.text, match.end())
    if not run:
        return
    said, low = run[1], run.start(1)
    head, de, _ = said.partition("的")
    high, end = low + len(said), low + len(said)
    if de and head:
        high, end = low + len(head), low + len(head) + 1
    at = next((place for place, token in enumerate(tokens) if token.low >= low), len(tokens))
    size, senses = (0, []) if at >= len(tokens) else gazetteer.longest(reading, tokens, at)
    senses = _strong(senses)
    inside = [token for token in tokens if low <= token.low and token.high <= high]
    if senses and tokens[at].low == low and tokens[at + size - 1].high <= high:
        high = tokens[at + size - 1].high
        end = end if high == low + len(head) else high
    else:
        senses = []
        if not inside or (not de and (match.start() == 0 or len(inside) > 2 or _two_words(inside))):
            high = end = low + len(words_of(said)[0])  # "不要头戴式蓝牙耳机": only the first word is refused
    refused = reading.text[low:high]
    if not senses and (len(refused) < 2 or not titles.size or (match.start() == 0 and not _known_han(refused, titles))):
        return
    if not senses and titles.refuse("", words_of(refused)[0]):
        return
    yield from _claims(reading, match.start(), [Token(refused, low, high)], senses, end)


def _two_words(inside: list[Token]) -> bool:
    """Two whole words ("组装床头柜"), of which the second is wanted, and not one that jieba cut ("头", "戴式")."""
    return len(inside) == 2 and all(len(token.word) > 1 for token in inside)


def _known_han(refused: str, titles: Titles) -> bool:
    return all(titles.df(word) >= 1 for word in words_of(refused))


def _claims(reading: Reading, low: int, run: list[Token], senses: list[Sense], end: int = 0) -> Iterator[Claim]:
    """One claim a field, on the same words; one of words only where no field has it."""
    high = end or run[-1].high
    low += len(reading.text[low:high]) - len(reading.text[low:high].lstrip(" ,"))
    said = reading.text[run[0].low : run[-1].high]
    for field, values in [(sense.field, sense.values) for sense in senses] or [("", (said,))]:
        meaning = Meaning(kind="not", text="", field=field, values=values, hard=True, excludes=True)
        yield Claim(low, high, meaning, removes=True)
