"""The promises of `protocols.Encoder`, one function each; `checks.check_encoder` runs them all.

Texts are products as shops write them, and everything that people and broken clients type into a search box. An
encoder that knows only its own shop's words is given texts that it knows (`EncoderCase.known`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bodega.protocols import Encoder
from bodega.testing._broken import require

KNOWN = (
    "red wool scarf", "red wool scarf for women", "cordless drill 18 V", "cordless drill with battery",
    "waterproof hiking boots", "milk", "USB-C charger 65W", "a pair of blue jeans, slim fit, size 32",
)  # fmt: skip

BLANK = ("", " ", "\t\r\n", "\u3000\u00a0", "\x00")

HOSTILE = (
    "a" * 10_000, "red scarf " * 1_000, " " * 10_000, "\x00\x01\x02\x1b[31m", "\ud800", "red \udfff scarf",
    "\u202eكفات أحمر", "שלום עולם", "\U0001f9e3\U0001f45f", "👩‍👩‍👧‍👦" * 500, "e\u0301" * 300, "\ufeff\u200b\u200d",
    "'; drop table items; --", "<s> </s> <mask> [CLS] [SEP] <pad>", "牛奶 milk молоко", "\ufffd\uffff\U0010ffff",
)  # fmt: skip

CLOSE = 1e-5
"""How far two answers to the same text may lie apart, in any dimension."""


@dataclass(frozen=True, slots=True)
class EncoderCase:
    """An encoder, and texts whose words it knows. The first two share words, the third shares none with them."""

    encoder: Encoder
    known: tuple[str, ...] = KNOWN


def says_what_it_is(case: EncoderCase) -> None:
    info = case.encoder.info
    require(bool(info.name), "info.name is empty", fix="a name that people recognise, such as e5-small")
    require(info.dimensions > 0, "info.dimensions is not positive", got=info.dimensions)
    fits = re.fullmatch(r"([0-9a-f]{16})?", info.digest) is not None
    require(fits, "info.digest is not 16 hex digits", got=info.digest, fix="sha256(weights).hexdigest()[:16], or ''")


def gives_unit_rows(case: EncoderCase) -> None:
    for query in (True, False):
        rows = _rows(case, case.known, query=query)
        lost = [text for text, row in zip(case.known, rows, strict=True) if not row.any()]
        require(not lost, "a known text has no direction", where=f"query={query}", got=lost)


def gives_zeros_for_nothing(case: EncoderCase) -> None:
    for query in (True, False):
        rows = _rows(case, BLANK, query=query)
        full = [text for text, row in zip(BLANK, rows, strict=True) if row.any()]
        require(not full, "a text without words has a direction", got=full, fix="a row of zeros, not of a prefix")
    none = case.encoder.encode([])
    require(none.shape == (0, case.encoder.info.dimensions), "no texts, wrong shape", got=none.shape, fix="(0, d)")


def gives_a_text_the_same_row_in_any_company(case: EncoderCase) -> None:
    texts = [*case.known, "", HOSTILE[1], *reversed(case.known)]
    for query in (True, False):
        together = _rows(case, texts, query=query)
        for text, row in zip(texts, together, strict=True):
            alone = _rows(case, [text], query=query)[0]
            off = float(np.abs(alone - row).max())
            require(
                off <= CLOSE, "a row depends on the batch", where=repr(text[:40]), got=off, fix="mask what is padded"
            )


def answers_any_text(case: EncoderCase) -> None:
    for text in HOSTILE:
        for query in (True, False):
            try:
                _rows(case, [text], query=query)
            except Exception as error:
                require(False, "a text makes it fail", where=ascii(text[:40]), got=error, fix="clean the text first")
    _rows(case, HOSTILE)


def says_the_same_again_and_from_many_threads(case: EncoderCase) -> None:
    first = _rows(case, case.known)
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda _: _rows(case, case.known), range(4)))
    off = max(float(np.abs(rows - first).max()) for rows in again)
    require(off <= CLOSE, "the same texts have other rows the second time", got=off, fix="no randomness, no state")


def keeps_its_answers_when_they_are_changed(case: EncoderCase) -> None:
    rows = _rows(case, case.known[:2], query=True)
    before = rows.copy()
    if rows.flags.writeable:
        rows[:] = 7
    same = np.allclose(_rows(case, case.known[:2], query=True), before, atol=CLOSE)
    require(same, "changing an answer changed the encoder", fix="give out copies of what is remembered")


def puts_alike_texts_nearer_than_unlike_ones(case: EncoderCase) -> None:
    one, alike, unlike = _rows(case, case.known[:3])
    near, far = float(one @ alike), float(one @ unlike)
    require(near > far, "unlike texts are nearer than alike ones", where=repr(case.known[:3]), got=(near, far))


def _rows(case: EncoderCase, texts: tuple[str, ...] | list[str], *, query: bool = False) -> NDArray[np.float32]:
    """The encoder's answer, after its shape, type and lengths were looked at."""
    rows = case.encoder.encode(texts, query=query)
    wanted = (len(texts), case.encoder.info.dimensions)
    require(rows.shape == wanted, "encode has the wrong shape", got=rows.shape, fix=f"{wanted}")
    require(rows.dtype == np.float32, "rows are not float32", got=rows.dtype, fix="cast at the end")
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    fine = np.isfinite(lengths) & ((np.abs(lengths - 1) < 1e-3) | (lengths == 0))
    odd = [(ascii(text[:40]), length) for text, length, ok in zip(texts, lengths, fine, strict=True) if not ok]
    require(not odd, "a row is neither of length 1 nor zeros", got=odd[:3], fix="normalise; zeros for unknown texts")
    return rows


EncoderCheck = Callable[[EncoderCase], None]

ENCODER_CHECKS: tuple[EncoderCheck, ...] = (
    says_what_it_is,
    gives_unit_rows,
    gives_zeros_for_nothing,
    gives_a_text_the_same_row_in_any_company,
    answers_any_text,
    says_the_same_again_and_from_many_threads,
    keeps_its_answers_when_they_are_changed,
    puts_alike_texts_nearer_than_unlike_ones,
)
