"""Which path of categories is meant? Strings, lists and levels become ("Men", "Tops", "Hoodies").

`>`, `|`, `»` and ` / ` always separate. A bare `/` may also belong to a name ("COOKIES/CONES"), so it separates only
where the column as a whole looks like paths: most values have it, and few first parts serve many values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from bodega.catalog.draft import is_missing
from bodega.catalog.text import clean_word

DEPTH = 8
ROOTS = frozenset({"default category", "root", "home", "首页", "root catalog"})
"""First levels that say nothing."""
TEXT_LIMIT = 2_000
_ALWAYS = re.compile(r">+|»|›|→|\|+|::| / ")
_SLASHES = re.compile(r"[/\\]+")


def slashed(values: Iterable[object]) -> bool:
    """Does a bare slash separate levels in this column? `values` are a sample of it."""
    texts = {text for value in values for text in _texts(value)}
    with_slash = [text for text in texts if "/" in text.strip("/")]
    if len(with_slash) < 0.6 * len(texts) or not texts:
        return False
    firsts = {text.strip("/").partition("/")[0] for text in with_slash}
    return len(firsts) <= 0.5 * len(with_slash) or len(with_slash) < 4


def path_of(text: str, slash: bool = False) -> tuple[str, ...]:
    """One path from one text.

    >>> path_of("Shoes > Trail"), path_of("COOKIES/CONES"), path_of("/Men/Tops", True)
    (('Shoes', 'Trail'), ('COOKIES/CONES',), ('Men', 'Tops'))
    """
    return _path_of(text[:TEXT_LIMIT], slash)


@lru_cache(maxsize=1 << 14)
def _path_of(text: str, slash: bool) -> tuple[str, ...]:
    text = " ".join(text.split())
    parts = _ALWAYS.split(text)
    if slash and len(parts) == 1:
        parts = _SLASHES.split(text)
    return _levels(parts)


def paths_of(value: object, slash: bool = False) -> list[tuple[str, ...]]:
    """All paths that a cell names, the main one first.

    A tuple is one path, level by level. A list of plain names is one path too; a list of paths, or of lists, several.
    """
    if is_missing(value):
        return []
    if isinstance(value, dict):  # Algolia: {"lvl0": "A", "lvl1": "A > B"}; the deepest level holds the whole path
        return paths_of(value[max(value)], slash)
    if isinstance(value, tuple):
        return [path for path in [_levels(str(level) for level in value)] if path]
    if isinstance(value, list):
        if all(isinstance(one, str) for one in value):
            texts = [one for one in value if not is_missing(one)]
            paths = [path_of(text, slash) for text in texts]
            if all(len(path) <= 1 for path in paths):
                return [path for path in [_levels(texts)] if path]
            return [path for path in paths if path]
        return [path for one in value for path in paths_of(one, slash)]
    path = path_of(str(value), slash)
    return [path] if path else []


def _levels(parts: Iterable[str]) -> tuple[str, ...]:
    levels: list[str] = []
    for part in parts:
        name = clean_word(part)
        if is_missing(name) or (levels and levels[-1] == name) or (not levels and name.casefold() in ROOTS):
            continue
        levels.append(name)
    return tuple(levels[:DEPTH])


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value] if value.strip() else []
    return [one for one in value if isinstance(one, str) and one.strip()] if isinstance(value, list | tuple) else []
