"""Part `profile` of `bodega bench items`: is one vector of everything better than text, or a picture, alone?

    luma      links that a shopkeeper made: of every fifth item all are hidden; hit@10 of each source item
    fashion   the ten nearest of the same kind of article (the kind is no attribute)
    grocery   a photo from a shelf: which product?
    beauty, office   items with at most 5 events (`_profile_cold`)

`text` and `image` are the encoders' own vectors, `sum` the sum of their cosines, `served` what product pages of a shop
without events show (`similar`: words, meaning, profile and picture with the weights of `engine.places`). `profile` has
seen the catalog alone, `profile_links` / `profile_shots` also the links (the photos) that are not tested; learning
never sees a tested one. Cost: about ten minutes, most of it on Beauty. Not for: how good an image encoder is
(`photos`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import msgspec
import numpy as np

from bodega.bench._contest import Tally
from bodega.bench._pictured_sets import Pictured, fashion, grocery, luma, same_label
from bodega.bench._profile_cold import SETS, cold
from bodega.bench.items import ItemsOptions, Sheet
from bodega.engine.places import DEFAULT_WEIGHTS
from bodega.errors import BadFeed
from bodega.evaluation import Case, Outcome, Scorer, evaluate
from bodega.evaluation.splits import sequence_log
from bodega.protocols import Encoder, Progress, Source
from bodega.ranking.fuse import Fusion, gather
from bodega.retrieval.content import Content
from bodega.retrieval.dense import Dense
from bodega.retrieval.pictures import Pictures
from bodega.retrieval.profile import Profile, Senses
from bodega.schema import Candidates, Context, ItemTable, World
from bodega.schema.arrays import Flags, Floats, Longs
from bodega.understanding.image import open_image_encoder
from bodega.understanding.profile import Inputs, Lesson, Pairs
from bodega.understanding.text.passages import passage
from bodega.understanding.text.pretrained import best_installed, open_encoder
from bodega.understanding.text.static import unit
from bodega.understanding.text.training import train

FOLDS: Final = 5
Scores = Callable[[Context], Floats]


def profile(options: ItemsOptions, sheet: Sheet, progress: Progress) -> None:
    """Measure every set that is there. Raises BadFeed where none is, MissingExtra without a library for pictures."""
    found, lost = 0, list[str]()
    for name in ("luma", "fashion", "grocery", *SETS):
        try:
            if name in SETS:
                cold(name, options, sheet, progress)
            else:
                {"luma": _luma, "fashion": _fashion, "grocery": _grocery}[name](options, sheet, progress)
            found += 1
        except BadFeed as error:
            lost.append(f"profile.{name}: left out, {error.what} ({error.where})")
    if not found:
        raise BadFeed("none of the sets is here", where=str(options.data), next="name their folder with --data")
    sheet.notes += lost


def _luma(options: ItemsOptions, sheet: Sheet, progress: Progress) -> None:
    data = luma(options.data / "magento_luma", open_image_encoder())
    reads = _reader(data.items)
    plain = Profile(_senses(data, reads)).fit(_silent(data.items))
    n_items = len(data.items)
    ways = _ways(data, reads) | {"profile": _by(plain), "served": _similar(data, reads, plain)}
    fold = np.random.default_rng(options.seed).permutation(n_items) % FOLDS
    wanted: dict[int, set[int]] = {}
    for source, target, _ in data.links:
        wanted.setdefault(source, set()).add(target)
    parts: list[tuple[list[Case], dict[str, Scorer]]] = []
    for number in range(FOLDS):
        progress.start(f"luma {number + 1} of {FOLDS}")
        taught = Profile(_senses(data, reads)).fit(_silent(_known(data, fold == number)))
        cases = [
            Case(_around(row), np.array(sorted(wanted[row]), np.int32))
            for row in np.flatnonzero(fold == number).tolist()
            if row in wanted
        ]
        parts.append((cases, ways | {"profile_links": _by(taught)}))
        progress.finish()
    outcomes = [evaluate(ways, cases, n_items) for cases, ways in parts]
    whole = {name: _joined([each[name] for each in outcomes]) for name in outcomes[0]}
    tally = Tally(options.seed)
    _told(tally, "luma", whole, ("hit@10", "recall@10", "ndcg@10"))
    for one, other in (
        ("profile", "text"),
        ("profile", "image"),
        ("profile_links", "text"),
        ("profile_links", "sum"),
        ("served", "text"),
        ("served", "image"),
        ("served", "sum"),
    ):
        tally.compare(f"luma.{one}_vs_{other}", whole[one].masked, whole[other].masked, "recall@10")
    _write(sheet, tally, "luma", data, plain)


def _fashion(options: ItemsOptions, sheet: Sheet, progress: Progress) -> None:
    progress.start("fashion")
    data = fashion(options.data / "fashion_100", open_image_encoder())
    reads = _reader(data.items)
    plain = Profile(_senses(data, reads)).fit(_silent(data.items))
    cases = [Case(_around(row), same) for row, same in enumerate(same_label(data.labels)) if len(same)]
    ways = _ways(data, reads) | {"profile": _by(plain), "served": _similar(data, reads, plain)}
    outcomes = evaluate(ways, cases, len(data.items))
    tally = Tally(options.seed)
    _told(tally, "fashion", outcomes, ("precision@10", "ndcg@10"))
    for other in ("text", "image", "sum"):
        for one in ("profile", "served"):
            tally.compare(f"fashion.{one}_vs_{other}", outcomes[one].masked, outcomes[other].masked, "precision@10")
    _write(sheet, tally, "fashion", data, plain)
    progress.finish()


def _grocery(options: ItemsOptions, sheet: Sheet, progress: Progress) -> None:
    progress.start("grocery")
    data = grocery(options.data / "grocery_store", open_image_encoder())
    reads = _reader(data.items)
    plain = Profile(_senses(data, reads)).fit(_silent(data.items))
    learned = [(name, row) for name, row, split in data.shots if split == "train"]
    asked = [(name, row) for name, row, split in data.shots if split != "train"]
    shots = data.seen.of([name for name, _ in learned])
    taught = Profile(_senses(data, reads), lesson=_shots(shots, [row for _, row in learned])).fit(_silent(data.items))
    photos = data.seen.of([name for name, _ in asked])
    cases = [
        Case(Context(place="search", picture=photo), np.array([row], np.int32))
        for photo, (_, row) in zip(photos, asked, strict=True)
    ]
    shelf = data.seen.of([f"iconic/{title}" for title in data.items.titles])
    nearest = _nearest(shots, np.array([row for _, row in learned]), len(data.items))
    ways: dict[str, Scores] = {
        "image": lambda context: shelf @ context.picture,
        "image_shots": nearest,
        "profile": _by(plain),
        "profile_shots": _by(taught),
    }
    outcomes = evaluate(ways, cases, len(data.items))
    tally = Tally(options.seed)
    _told(tally, "grocery", outcomes, ("hit@1", "hit@5", "mrr"))
    for one, other in (("profile", "image"), ("profile_shots", "image"), ("profile_shots", "image_shots")):
        tally.compare(f"grocery.{one}_vs_{other}", outcomes[one].masked, outcomes[other].masked, "hit@5")
    _write(sheet, tally, "grocery", data, plain)
    progress.finish()


def _similar(data: Pictured, reads: Encoder, plain: Profile) -> Scorer:
    """A product page of a shop without events, as `engine.places` weighs it."""
    silent = _silent(data.items)
    sources: list[Source] = [
        Content().fit(silent),
        Dense(lambda _: reads).fit(silent),
        plain,
        Pictures(data.seen).fit(silent),
    ]
    fusion = Fusion({"similar": DEFAULT_WEIGHTS["similar"]})

    def ranked(context: Context) -> Candidates:
        found = gather(sources, context)
        return fusion.rank(context, found.take(~np.isin(found.items, context.items)))

    return ranked


def _ways(data: Pictured, reads: Encoder) -> dict[str, Scorer]:
    """The baselines, around one item."""
    table = data.items
    text = reads.encode([passage(table.item(row)) for row in range(len(table))])
    image = data.seen.of([next(iter(table.item(row).images), "") for row in range(len(table))])

    def near(vectors: Floats) -> Scores:
        return lambda context: _without(vectors @ vectors[context.items[0]], context)

    centred = [unit(rows - rows.mean(axis=0)) * np.asarray(rows.any(axis=1))[:, None] for rows in (text, image)]
    return {"text": near(text), "image": near(image), "sum": near(np.concatenate(centred, axis=1))}


def _known(data: Pictured, hidden: Flags) -> ItemTable:
    """The catalog with the links that touch no hidden item."""
    told: dict[int, dict[str, list[str]]] = {}
    for a, b, kind in data.links:
        if not hidden[a] and not hidden[b]:
            told.setdefault(a, {}).setdefault(kind, []).append(data.items.ids[b])
    return ItemTable.of(
        msgspec.structs.replace(
            data.items.item(row), links={kind: tuple(names) for kind, names in told.get(row, {}).items()}
        )
        for row in range(len(data.items))
    )


def _shots(vectors: Floats, rows: Sequence[int]) -> Callable[[Lesson], Lesson]:
    """Photos as questions, each with the product that it shows."""
    number = np.arange(len(rows), dtype=np.int64)
    pairs = Pairs(number, np.asarray(rows, np.int64), np.ones(len(rows), np.float32), np.zeros(len(rows), np.int64))
    return lambda lesson: replace(lesson, queries=Inputs.of(len(rows), {"image": vectors}, {}), asked=pairs)


def _nearest(shots: Floats, rows: Longs, n_items: int) -> Scores:
    """The best of a product's photos by the raw encoder."""

    def score(context: Context) -> Floats:
        out = np.full(n_items, -1, np.float32)
        np.maximum.at(out, rows, shots @ context.picture)
        return out

    return score


def _reader(table: ItemTable) -> Encoder:
    name = best_installed()
    return train(_silent(table))[0] if name in ("", "none") else open_encoder(name)


def _senses(data: Pictured, reads: Encoder) -> Senses:
    return Senses(lambda _: reads, lambda _: reads, data.seen)


def _around(row: int) -> Context:
    return Context(place="similar", items=np.array([row], np.int32))


def _by(source: Profile) -> Scores:
    rows = np.arange(len(source), dtype=np.int32)
    return lambda context: source.score(context, rows)


def _without(scores: Floats, context: Context) -> Floats:
    scores = scores.copy()
    scores[context.items] = np.nan
    return scores


def _silent(table: ItemTable) -> World:
    """The catalog, and not one event."""
    return World(table, sequence_log([]), until=0.0)


def _joined(parts: Sequence[Outcome]) -> Outcome:
    """The cases of all folds, one after the other."""
    ranked = []
    for kind in ("masked", "unmasked"):
        held = [getattr(each, kind) for each in parts]
        ends = np.cumsum([0, *(len(each.n_ranked) for each in held)])
        ranked.append(
            type(held[0])(
                np.concatenate([each.rank for each in held]),
                np.concatenate([each.item for each in held]),
                np.concatenate([each.case + end for each, end in zip(held, ends, strict=False)]).astype(np.int32),
                np.concatenate([each.n_ranked for each in held]),
            )
        )
    return Outcome(ranked[0], ranked[1], np.concatenate([each.lists for each in parts]))


def _told(tally: Tally, name: str, outcomes: Mapping[str, Outcome], metrics: Sequence[str]) -> None:
    for way, outcome in outcomes.items():
        tally.add(f"{name}.{way}", outcome.masked, metrics)


def _write(sheet: Sheet, tally: Tally, name: str, data: Pictured, source: Profile) -> None:
    sheet.figures |= tally.figures
    sheet.intervals |= tally.intervals
    assert source.facts is not None
    told = {"hash": data.digest, "items": len(data.items), "gates": source.facts.gates, "way": source.facts.way}
    sheet.facts[f"profile.{name}"] = told
