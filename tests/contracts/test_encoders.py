"""Every encoder keeps every promise of `protocols.Encoder`; every broken twin is caught by the check meant for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from bodega.errors import MissingExtra
from bodega.protocols import Encoder
from bodega.schema.arrays import Floats
from bodega.testing import _encoder_checks as promises
from bodega.testing.checks import ENCODER_CHECKS, ContractBroken, EncoderCase, check_encoder, small_world
from bodega.testing.fakes import FakeEncoder
from bodega.understanding.text.cached import CachedEncoder
from bodega.understanding.text.pretrained import open_encoder
from bodega.understanding.text.training import TrainingOptions, train


@cache
def case_of(name: str) -> EncoderCase:
    if name == "fake":
        return EncoderCase(FakeEncoder())
    if name == "static":
        encoder, _ = train(small_world().world(), TrainingOptions(), None)
        return EncoderCase(encoder)
    if name == "cached":
        return EncoderCase(CachedEncoder(FakeEncoder(), size=2_000))
    return EncoderCase(open_encoder(name))


@pytest.mark.parametrize("check", ENCODER_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", ["fake", "cached", "static", "e5", "minilm"])
def test_encoder_keeps_its_promise(name: str, check: Callable[[EncoderCase], None]) -> None:
    try:
        case = case_of(name)
    except MissingExtra as missing:
        pytest.skip(f"{missing.what}: {missing.next}")
    check(case)


class Nameless(FakeEncoder):
    def __init__(self) -> None:
        super().__init__()
        self.info = replace(self.info, digest="sha256 of nothing")


class Long(FakeEncoder):
    def encode(self, texts: Sequence[str], *, query: bool = False) -> Floats:
        return super().encode(texts, query=query) * np.float32(2)


class Prefixed(FakeEncoder):
    def encode(self, texts: Sequence[str], *, query: bool = False) -> Floats:
        return super().encode([f"passage: {text}" for text in texts], query=query)


class Padded(FakeEncoder):
    """Pads every text to the longest of its batch, and forgets the mask."""

    def encode(self, texts: Sequence[str], *, query: bool = False) -> Floats:
        most = max((len(text) for text in texts), default=0)
        return super().encode(
            [text + " pad" * bool(text.strip(" \t\r\n\u3000\u00a0\0") and len(text) < most) for text in texts]
        )


class Fragile(FakeEncoder):
    def encode(self, texts: Sequence[str], *, query: bool = False) -> Floats:
        for text in texts:
            text.encode("utf-8")
        return super().encode(texts, query=query)


class Forgetful(FakeEncoder):
    def encode(self, texts: Sequence[str], *, query: bool = False) -> Floats:
        turn = len(self.asked) // len(promises.KNOWN)
        return np.roll(super().encode(texts, query=query), turn, axis=1)


class Lending(FakeEncoder):
    """Hands out the very array that it remembers."""

    def encode(self, texts: Sequence[str], *, query: bool = False) -> Floats:
        kept: dict[tuple[str, ...], Floats] = self.__dict__.setdefault("kept", {})
        return kept.setdefault(tuple(texts), super().encode(texts, query=query))


class Blind(FakeEncoder):
    """Every text means the same."""

    def encode(self, texts: Sequence[str], *, query: bool = False) -> Floats:
        return super().encode(["thing" if text in promises.KNOWN else text for text in texts], query=query)


class Wide(FakeEncoder):
    def encode(self, texts: Sequence[str], *, query: bool = False) -> Floats:
        return super().encode(texts, query=query).astype(np.float64)  # type: ignore[return-value]


BROKEN: tuple[tuple[type[FakeEncoder], Callable[[EncoderCase], None]], ...] = (
    (Nameless, promises.says_what_it_is),
    (Long, promises.gives_unit_rows),
    (Wide, promises.gives_unit_rows),
    (Prefixed, promises.gives_zeros_for_nothing),
    (Padded, promises.gives_a_text_the_same_row_in_any_company),
    (Fragile, promises.answers_any_text),
    (Forgetful, promises.says_the_same_again_and_from_many_threads),
    (Lending, promises.keeps_its_answers_when_they_are_changed),
    (Blind, promises.puts_alike_texts_nearer_than_unlike_ones),
)


@pytest.mark.parametrize(("broken", "check"), BROKEN, ids=lambda thing: thing.__name__)
def test_broken_encoder_is_caught(broken: type[FakeEncoder], check: Callable[[EncoderCase], None]) -> None:
    with pytest.raises(ContractBroken):
        check(EncoderCase(broken()))


def test_every_check_catches_something() -> None:
    assert {check for _, check in BROKEN} == set(ENCODER_CHECKS)


def test_check_encoder_runs_them_all() -> None:
    encoder: Encoder = FakeEncoder()
    check_encoder(encoder)
    with pytest.raises(ContractBroken):
        check_encoder(Blind())
