"""Are typing errors mended, and is what was right left alone? Seeded errors in real titles and queries.

The shop is 90 % of the Best Buy products, WANDS' class names as products, and half of WANDS' queries as its log (each
asked by enough people). The words come from three places that the shop has not seen: the titles of the other 10 %,
2,120 queries that people typed at another Best Buy shop, and the other half of WANDS' queries (a hard case: furniture
in a shop of films and electronics). A word is drawn by its frequency and stands among its neighbours (at most four
words in all).

Errors: a letter left out, put in, replaced, swapped with the next or doubled, at any place, also the first; one in
words of at least four letters, two in half of the words of at least eight. What cannot be mended by definition is
counted apart: an error that gives another word of the shop, and a right word that the shop has never seen.
`fixed` takes the word meant or another form of it (same stem: the same search), `fixed_exact` only the word meant.

Baseline: the nearest known word, the more frequent of equally near ones (what SymSpell does), on the same cases.
"""

from __future__ import annotations

import csv
import gzip
import json
import random
import string
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bodega.bench.search import DISTRACTORS, SearchOptions, read_data
from bodega.errors import BadFeed
from bodega.retrieval.lexical import Lexical
from bodega.schema import EVENT_CODES, Item, ItemTable, Log, World
from bodega.understanding import language
from bodega.understanding.query.habits import PEOPLE
from bodega.understanding.query.spelling import Speller

SUGGESTIONS = Path("bestbuy_query_suggestions/instant_search_demo_query_suggestions.json.gz")
WANDS = Path("wands_queries/query.tsv")
HELD_OUT = 0.1
NEIGHBOURS = 4
SHORTEST = 4
TWO_ERRORS = 8


class Typo(NamedTuple):
    """`words` as typed; the one at `place` was meant to be `meant`."""

    words: tuple[str, ...]
    place: int
    meant: str
    errors: int


def run_typos(data: Path, seed: int = 7, cases: int = 3_000) -> dict[str, float]:
    """{figure: value}: `titles.fixed`, `queries.fixed`, `wands.fixed`, the same isolated, of the baseline, ...

    `data` is the folder with the three sets; `cases` errors are drawn from each. Raises BadFeed.
    """
    for path in (DISTRACTORS, SUGGESTIONS, WANDS):
        if not (data / path).exists():
            raise BadFeed("a file of the spelling benchmark is missing", where=str(data / path), next="name --data")
    items, kept_out = _split(read_data(SearchOptions(data, seed, generated=0)).items, seed)
    classes, wands = _wands(data / WANDS)
    items += [Item(id=f"class {row}", title=name) for row, name in enumerate(classes)]
    lexical = Lexical().fit(World(ItemTable.of(items), _asked(wands[::2]), 0.0))
    texts = {"titles": kept_out, "queries": _suggestions(data / SUGGESTIONS), "wands": wands[1::2]}
    figures: dict[str, float] = {}
    for name, lines in texts.items():
        found = measure(lexical.speller, lines, cases, seed)
        figures |= {f"{name}.{figure}": value for figure, value in found.items()}
    return figures


def measure(speller: Speller, lines: Sequence[str], cases: int, seed: int) -> dict[str, float]:
    """The figures of one set of texts."""
    rng = random.Random(seed)  # noqa: S311 - a benchmark draw, not a secret
    drawn = list(typos(lines, cases, rng))
    eligible = [case for case in drawn if speller.knows(case.meant)]
    seen = [case for case in eligible if not speller.knows(case.words[case.place])]
    spent: list[float] = []
    answers = {"fixed": [_in_context(speller, case, spent) for case in seen]}
    answers["isolated"] = [_alone(speller, case) for case in seen]
    answers["nearest"] = [_by_frequency(speller, case) for case in seen]
    figures = {"cases": float(len(seen))}
    for name, words in answers.items():
        same = [language.stem(word) == language.stem(case.meant) for word, case in zip(words, seen, strict=True)]
        exact = [word == case.meant for word, case in zip(words, seen, strict=True)]
        figures |= {name: _share(same), f"{name}_exact": _share(exact)}
        if name == "fixed":
            for errors in (1, 2):
                part = [ok for ok, case in zip(same, seen, strict=True) if case.errors == errors]
                figures[f"fixed_{errors}_error"] = _share(part)
    figures["real_word"] = 1.0 - len(seen) / max(1, len(eligible))
    figures["unknown_word"] = 1.0 - len(eligible) / max(1, len(drawn))
    figures |= _untouched(speller, lines)
    if spent:
        figures |= {"cpu_p50_ms": float(np.percentile(spent, 50)), "cpu_p99_ms": float(np.percentile(spent, 99))}
    return figures


def _share(right: Sequence[bool]) -> float:
    return float(np.mean(right)) if right else float("nan")


def typos(lines: Sequence[str], cases: int, rng: random.Random) -> Iterable[Typo]:
    """Errors in words drawn from the lines, as far as these have words of `SHORTEST` letters."""
    for _ in range(cases):
        words = language.words(rng.choice(lines))
        places = [place for place, word in enumerate(words) if _spellable(word)]
        if not places:
            continue
        place = rng.choice(places)
        first = max(0, min(place - rng.randrange(NEIGHBOURS), len(words) - NEIGHBOURS))
        meant = words[place]
        errors = 2 if len(meant) >= TWO_ERRORS and rng.random() < 0.5 else 1
        words[place] = wrong(rng, meant, errors)
        yield Typo(tuple(words[first : first + NEIGHBOURS]), place - first, meant, errors)


def wrong(rng: random.Random, word: str, errors: int) -> str:
    """The word with so many random errors; never the word itself."""
    typed = word
    while typed == word:
        typed = word
        for _ in range(errors):
            typed = rng.choice(ERRORS)(rng, typed)
    return typed


def _left_out(rng: random.Random, word: str) -> str:
    place = rng.randrange(len(word))
    return word[:place] + word[place + 1 :]


def _put_in(rng: random.Random, word: str) -> str:
    place = rng.randrange(len(word) + 1)
    return word[:place] + rng.choice(string.ascii_lowercase) + word[place:]


def _replaced(rng: random.Random, word: str) -> str:
    place = rng.randrange(len(word))
    return word[:place] + rng.choice(string.ascii_lowercase) + word[place + 1 :]


def _swapped(rng: random.Random, word: str) -> str:
    place = rng.randrange(len(word) - 1)
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def _doubled(rng: random.Random, word: str) -> str:
    place = rng.randrange(len(word))
    return word[:place] + word[place] + word[place:]


ERRORS: tuple[Callable[[random.Random, str], str], ...] = (_left_out, _put_in, _replaced, _swapped, _doubled)


def _spellable(word: str) -> bool:
    return len(word) >= SHORTEST and word.isascii() and word.isalpha()


def _in_context(speller: Speller, case: Typo, spent: list[float]) -> str:
    before = time.process_time()
    found = speller.correct(case.words)
    spent.append((time.process_time() - before) * 1_000)
    fix = next((fix for fix in found.fixes if fix.at == case.place and fix.size == 1), None)
    return " ".join(fix.words) if fix else ""


def _alone(speller: Speller, case: Typo) -> str:
    return " ".join(speller.correct(case.words[case.place : case.place + 1]).words)


def _by_frequency(speller: Speller, case: Typo) -> str:
    near = speller.words.near(case.words[case.place])
    return min(near, key=lambda entry: (entry[1], -entry[2], entry[0]))[0] if near else ""


def _untouched(speller: Speller, lines: Sequence[str]) -> dict[str, float]:
    """`harmed`: share of known words that were changed; `unknown_changed`: share of right but unknown words that were
    (such a word finds nothing by itself)."""
    known, harmed, unknown, changed = 0, 0, 0, 0
    for line in lines[:3_000]:
        words = language.words(line)[:NEIGHBOURS]
        right = [speller.knows(word) for word in words]
        touched = {at for fix in speller.correct(words).fixes for at in range(fix.at, fix.at + fix.size)}
        known += sum(right)
        harmed += sum(right[at] for at in touched)
        unknown += len(words) - sum(right)
        changed += sum(not right[at] for at in touched)
    return {"harmed": harmed / max(1, known), "unknown_changed": changed / max(1, unknown), "unknown": float(unknown)}


def _split(items: list[Item], seed: int) -> tuple[list[Item], list[str]]:
    """(products of the shop, titles of the others)."""
    out = np.random.default_rng(seed).random(len(items)) < HELD_OUT
    held = [item.title for item, apart in zip(items, out.tolist(), strict=True) if apart]
    return [item for item, apart in zip(items, out.tolist(), strict=True) if not apart], held


def _wands(path: Path) -> tuple[list[str], list[str]]:
    """(class names, queries)."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return sorted({row["query_class"] for row in rows if row["query_class"]}), [row["query"] for row in rows]


def _asked(queries: Sequence[str]) -> Log:
    """A log in which `PEOPLE` different people asked each query."""
    count = PEOPLE * len(queries)
    user = np.tile(np.arange(PEOPLE, dtype=np.int32), len(queries))
    none = np.full(count, -1, np.int32)
    return Log(
        time=np.arange(count, dtype=np.float64),
        type=np.full(count, EVENT_CODES["search"], np.int8),
        user=user,
        session=user,
        item=none,
        quantity=np.ones(count, np.float32),
        value=np.full(count, np.nan, np.float32),
        query=np.repeat(np.arange(len(queries), dtype=np.int32), PEOPLE),
        position=none,
        n_users=PEOPLE,
        n_sessions=PEOPLE,
        queries=tuple(queries),
    )


def _suggestions(path: Path) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [str(row["query"]) for row in json.load(file)]
