"""What does a model think is near what? Its item vectors, flattened to two dimensions, to look at.

The two directions in which the vectors differ most (principal components, by a singular value decomposition in numpy):
linear, exact, the same for the same vectors, and it says how much of the differences it shows. Methods that draw
prettier islands (t-SNE, UMAP) move with their seed and show distances that are not there. At most `MOST` items are
drawn, the most wanted ones where that is known. Computed once a snapshot and source and kept beside other results of
the office. Cost: 3,000 x 256 in .3 s. Not for: measuring (the table of a snapshot does).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bodega.engine.answer import Engine
from bodega.engine.office.jobs import FOLDER
from bodega.errors import BadRequest
from bodega.protocols import Source
from bodega.retrieval.popular import Popular
from bodega.schema.arrays import Doubles, Ints

MOST = 3_000
KEPT = 12
"""Maps that are kept, the newest."""
_SAFE = re.compile(r"[a-z0-9_]{1,40}")


class Point(msgspec.Struct, frozen=True, array_like=True):
    """One item: [x, y, number of its group, id, title]."""

    x: float
    y: float
    group: int
    id: str
    title: str


class EmbeddingMap(msgspec.Struct, frozen=True, kw_only=True):
    """Items of a snapshot in two dimensions."""

    snapshot: str
    source: str
    shown: float = 0.0
    """Share of the differences between vectors that two dimensions show, 0 to 1."""
    of: int = 0
    """Items that have a vector."""
    groups: tuple[str, ...] = ()
    """Top categories by how many points they have; the last one is "" for all others."""
    points: tuple[Point, ...] = ()


def drawable(source: Source) -> bool:
    """Has it vectors of items?"""
    return _holder(source) is not None


def map_of(folder: Path, engine: Engine, source: str = "") -> EmbeddingMap:
    """The map of the served snapshot, made and kept where it is not yet. Raises BadRequest."""
    sources = engine.learned.sources
    able = [name for name in sources if drawable(sources[name])]
    name = source or next((each for each in ("profile", "dense", "sequential", "matrix") if each in able), "")
    name = name or next(iter(able), "")
    if name not in able:
        raise BadRequest(
            "no such source draws a map", code="models.no_map",
            where="source", allowed=", ".join(able) or "none has item vectors",
            got=source[:40], next="choose one of them",
        )  # fmt: skip
    kept = kept_map(folder, engine.learned.snapshot, name)
    if kept is None:
        kept = _drawn(engine, name)
        _keep(folder, kept)
    return kept


def kept_map(folder: Path, snapshot: str, source: str) -> EmbeddingMap | None:
    """A map that was made before."""
    if not (_SAFE.fullmatch(source) and _SAFE.fullmatch(snapshot)):
        return None
    try:
        return msgspec.json.decode((folder / FOLDER / f"map-{snapshot}-{source}.json").read_bytes(), type=EmbeddingMap)
    except (OSError, msgspec.MsgspecError):
        return None


def _keep(folder: Path, made: EmbeddingMap) -> None:
    if not (_SAFE.fullmatch(made.source) and _SAFE.fullmatch(made.snapshot)):
        return
    home = folder / FOLDER
    try:
        home.mkdir(parents=True, exist_ok=True)
        fresh = home / f".map-{made.snapshot}-{os.getpid()}"
        fresh.write_bytes(msgspec.json.encode(made))
        fresh.replace(home / f"map-{made.snapshot}-{made.source}.json")
        for old in sorted(home.glob("map-*.json"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
            old.unlink(missing_ok=True)
    except OSError:  # it is drawn again next time
        return


def _drawn(engine: Engine, source: str) -> EmbeddingMap:
    table, sources = engine.shelf.base, engine.learned.sources
    rows = _chosen(sources.get("popular"), len(table))
    vectors = _vectors(sources[source], rows)
    known = np.flatnonzero(np.isfinite(vectors).all(axis=1) & (np.abs(vectors).sum(axis=1) > 0))
    rows, vectors = rows[known], vectors[known]
    places, shown = flattened(vectors)
    top = _top_categories(engine, rows)
    names, counts = np.unique(np.array(top, object), return_counts=True) if top else (np.array([]), np.array([]))
    groups = [str(name) for name in names[np.argsort(-counts, kind="stable")] if name][:11]
    number = {name: place for place, name in enumerate(groups)}
    points = tuple(
        Point(round(float(x), 4), round(float(y), 4), number.get(group, len(groups)), table.ids[row], table.titles[row])
        for (x, y), row, group in zip(places, rows.tolist(), top, strict=True)
    )
    return EmbeddingMap(
        snapshot=engine.learned.snapshot,
        source=source,
        shown=round(shown, 4),
        of=len(table),
        groups=(*groups, ""),
        points=points,
    )


def flattened(vectors: Doubles) -> tuple[Doubles, float]:
    """((n, 2) places within -1 to 1, share of the variance they show); signs are fixed so that it is the same again."""
    if len(vectors) < 2:
        return np.zeros((len(vectors), 2)), 0.0
    middled = vectors - vectors.mean(axis=0)
    _, sizes, axes = np.linalg.svd(middled, full_matrices=False)
    axes = axes[:2]
    axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    places = np.zeros((len(vectors), 2))
    places[:, : len(axes)] = middled @ axes.T
    total = float((sizes**2).sum())
    return places / max(float(np.abs(places).max()), 1e-12), float((sizes[:2] ** 2).sum()) / total if total else 0.0


def _chosen(popular: Source | None, n_items: int) -> Ints:
    """Which items are drawn: all of few; of many the most wanted."""
    rows = np.arange(n_items, dtype=np.int32)
    if n_items <= MOST:
        return rows
    if isinstance(popular, Popular) and len(popular.level) == n_items:
        return np.sort(np.argsort(-np.nan_to_num(popular.level), kind="stable")[:MOST]).astype(np.int32)
    return np.linspace(0, n_items - 1, MOST).astype(np.int32)


def _holder(source: Source) -> Any:
    """What holds vectors of items: an index of them, or the rows themselves; None where there is neither."""
    for name in ("vectors", "_index", "_vectors", "_items"):
        held = getattr(source, name, None)
        if hasattr(held, "vectors") or (isinstance(held, np.ndarray) and held.ndim == 2 and held.shape[1] > 1):
            return held
    return None


def _vectors(source: Source, rows: Ints) -> Doubles:
    held = _holder(source)
    found = held.vectors(rows) if hasattr(held, "vectors") else held[rows]
    return np.asarray(found, np.float64)


def _top_categories(engine: Engine, rows: Ints) -> list[str]:
    column = engine.shelf.base.coded["category"]
    first = column.first()[rows].tolist()
    return [column.vocabulary[code] if code >= 0 else "" for code in first]
