"""Who takes part, with which settings: the first of each list is the library's documented default, the rest are tried.

Three settings a peer and question, the same number for everybody: the default and two others of the dials that its
documentation names first. What is too large for a question (EASE inverts items x items) stays in and fails by name.
Not for: finding each library's limit; somebody who knows it well may do better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bodega.bench._peer_process import OWN
from bodega.bench._peer_tasks import BASKET, ITEM
from bodega.errors import BadRequest

Settings = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entrant:
    """`settings[task][0]` are the defaults; under a shorter limit than `default_seconds` they are left out by name.
    Who has no settings for a task does not take part in it."""

    name: str
    library: str
    model: str
    settings: dict[str, tuple[Settings, ...]]
    default_seconds: float = 0.0


def _peer(library: str, model: str, *settings: Settings, basket: tuple[Settings, ...] = ()) -> Entrant:
    return Entrant(f"{library}-{model}", library, model, {ITEM: settings, BASKET: basket or settings})


def _own(model: str) -> Entrant:
    return Entrant(f"{OWN}-{model}", OWN, model, {ITEM: ({},), BASKET: ({},)})


_SMALL: Final[Settings] = {
    "n_factors": 64,
    "n_heads": 2,
    "dropout_rate": 0.5,
    "loss": "sampled_softmax",
    "n_negatives": 64,
}
"""SASRec in the sizes of Kang & McAuley 2018, told apart from 64 items drawn for each step instead of from all."""

ENTRANTS: Final = (
    _own("popular"),
    _own("transition"),
    Entrant(f"{OWN}-repeat", OWN, "repeat", {BASKET: ({},)}),
    _own("collaborative"),
    _own("matrix"),
    _own("sequential"),
    _own("served-fast"),
    _own("served-all"),
    _peer("implicit", "item-knn", {}, {"K": 100}, {"K": 100, "weights": "tfidf"}),
    _peer("implicit", "als", {}, {"alpha": 10.0}, {"factors": 200, "regularization": 1.0}),
    _peer("implicit", "bpr", {}, {"iterations": 300}, {"learning_rate": 0.05, "regularization": 0.05}),
    _peer("lenskit", "item-knn", {}, {"max_nbrs": 50}, {"max_nbrs": 200}),
    _peer("lenskit", "als", {}, {"weight": 10.0}, {"embedding_size": 128}),
    _peer("lenskit", "ease", {}, {"regularization": 100.0}, {"regularization": 500.0}, basket=({},)),
    Entrant(
        "rectools-sasrec",
        "rectools",
        "sasrec",
        {
            ITEM: ({}, {**_SMALL, "session_max_len": 20}, {**_SMALL, "session_max_len": 20, "epochs": 20}),
            BASKET: ({}, _SMALL, {**_SMALL, "epochs": 20}),
        },
        default_seconds=7_200.0,  # 256 factors, 100 steps, softmax over the whole catalog
    ),
)


def chosen_from(entrants: Sequence[Entrant], wanted: Sequence[str]) -> tuple[Entrant, ...]:
    """Those whose names begin with one of `wanted` (all without any). Raises BadRequest where a word fits nobody."""
    for word in wanted:
        if not any(entrant.name.startswith(word) for entrant in entrants):
            raise BadRequest(
                "nobody of that name takes part",
                where="--only",
                allowed=", ".join(entrant.name for entrant in entrants),
                got=word,
            )
    return tuple(own for own in entrants if not wanted or any(own.name.startswith(word) for word in wanted))
