"""Does your part fit? The promises of `bodega.protocols` as checks that anyone can run against a part of their own.

    from bodega.testing.checks import check_source

    def test_my_source(tmp_path):
        check_source(lambda: MySource(strength=2.0), tmp_path)

A check raises ContractBroken (an AssertionError): what is broken, for which context, and how to mend it. To see one
line a promise in pytest, parametrize over `SOURCE_CHECKS`, `ENCODER_CHECKS` or their siblings instead.
Cost: a fit or two and a few hundred requests on a small generated world; 1 to 5 seconds a source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TypeVar

from bodega.protocols import (
    AnswerStore,
    CatalogStore,
    DeadLetterBox,
    Encoder,
    EventStore,
    ExperimentStore,
    ReviewStore,
    RuleStore,
    Source,
)
from bodega.testing._answer_checks import ANSWER_CHECKS
from bodega.testing._broken import ContractBroken
from bodega.testing._encoder_checks import ENCODER_CHECKS, KNOWN, EncoderCase
from bodega.testing._experiment_checks import EXPERIMENT_CHECKS
from bodega.testing._review_checks import REVIEW_CHECKS
from bodega.testing._rule_checks import RULE_CHECKS
from bodega.testing._source_checks import SOURCE_CHECKS, SourceCase
from bodega.testing._store_checks import CATALOG_CHECKS, EVENT_CHECKS, LETTER_CHECKS
from bodega.testing.world import GeneratedWorld, WorldSpec, make_world

__all__ = [
    "ANSWER_CHECKS",
    "CATALOG_CHECKS",
    "ENCODER_CHECKS",
    "EVENT_CHECKS",
    "EXPERIMENT_CHECKS",
    "LETTER_CHECKS",
    "REVIEW_CHECKS",
    "RULE_CHECKS",
    "SOURCE_CHECKS",
    "ContractBroken",
    "EncoderCase",
    "SourceCase",
    "check_answer_store",
    "check_catalog_store",
    "check_dead_letter_box",
    "check_encoder",
    "check_event_store",
    "check_experiment_store",
    "check_review_store",
    "check_rule_store",
    "check_source",
    "small_world",
]

Store = TypeVar("Store")


@cache
def small_world() -> GeneratedWorld:
    """The world that the checks use unless told otherwise: 120 items, 40 shoppers, 30 days."""
    return make_world(WorldSpec(n_items=120, n_shoppers=40, days=30))


def check_source(make: Callable[[], Source], folder: Path, world: GeneratedWorld | None = None) -> None:
    """Run every promise of `protocols.Source`; `folder` is empty and may be written to. Raises ContractBroken."""
    case = SourceCase(make, world or small_world(), folder)
    for check in SOURCE_CHECKS:
        check(case)


def check_encoder(encoder: Encoder, known: tuple[str, ...] = KNOWN) -> None:
    """Run every promise of `protocols.Encoder`. `known` are texts whose words it knows: two that share words, a third
    that shares none with them, and more. Raises ContractBroken."""
    case = EncoderCase(encoder, known)
    for check in ENCODER_CHECKS:
        check(case)


def check_catalog_store(make: Callable[[], CatalogStore]) -> None:
    """Run every promise of `protocols.CatalogStore`; `make` gives a new, empty one. Raises ContractBroken."""
    for check in CATALOG_CHECKS:
        with _closing(make()) as store:
            check(store)


def check_event_store(make: Callable[[], EventStore]) -> None:
    """Run every promise of `protocols.EventStore`; `make` gives a new, empty one. Raises ContractBroken."""
    for check in EVENT_CHECKS:
        with _closing(make()) as store:
            check(store)


def check_dead_letter_box(make: Callable[[], DeadLetterBox]) -> None:
    """Run every promise of `protocols.DeadLetterBox` on a new, empty box. Raises ContractBroken."""
    for check in LETTER_CHECKS:
        with _closing(make()) as box:
            check(box)


def check_review_store(make: Callable[[], ReviewStore]) -> None:
    """Run every promise of `protocols.ReviewStore`; `make` gives a new, empty one. Raises ContractBroken."""
    for check in REVIEW_CHECKS:
        with _closing(make()) as store:
            check(store)


def check_experiment_store(make: Callable[[], ExperimentStore]) -> None:
    """Run every promise of `protocols.ExperimentStore`; `make` gives a new, empty one. Raises ContractBroken."""
    for check in EXPERIMENT_CHECKS:
        with _closing(make()) as store:
            check(store)


def check_answer_store(make: Callable[[], AnswerStore]) -> None:
    """Run every promise of `protocols.AnswerStore`; `make` gives a new, empty one. Raises ContractBroken."""
    for check in ANSWER_CHECKS:
        with _closing(make()) as store:
            check(store)


def check_rule_store(make: Callable[[], RuleStore]) -> None:
    """Run every promise of `protocols.RuleStore`; `make` gives a new, empty one. Raises ContractBroken."""
    for check in RULE_CHECKS:
        with _closing(make()) as store:
            check(store)


@contextmanager
def _closing(store: Store) -> Iterator[Store]:
    """Close the store afterwards where it can be closed."""
    try:
        yield store
    finally:
        close = getattr(store, "close", None)
        if close is not None:
            close()
