"""What `bodega adapt` wrote: a network tuned to this shop, served from one ONNX file without torch.

Answers: a direction; how many dimensions the network says.  Needs: onnxruntime and tokenizers (extra `minilm`).
Good for: the shop whose clicks tuned it, and teaching the static encoder.  Not for: other shops.
Activations are scaled to 8 bits a run, so a run holds one text: its vector does not depend on what else is asked.
Cost: some 5 ms a short text and core.  Relations: `understanding.adapting` tunes and writes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from bodega.errors import BadSettings, MissingExtra
from bodega.protocols import EncoderInfo
from bodega.schema.arrays import Floats
from bodega.understanding.text._batches import Ids
from bodega.understanding.text._cleaning import cleaned
from bodega.understanding.text._onnx import session
from bodega.understanding.text.static import unit

GRAPH, WORDS, INFO = "encoder.onnx", "tokenizer.json", "encoder.json"
TOKENS = 64


class OnnxEncoder:
    """Implements `protocols.Encoder` over a folder that `export` wrote; safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        """Raises BadSettings where the folder holds no such encoder, or other bytes than were written."""
        try:
            from tokenizers import Tokenizer

            self.info = msgspec.json.decode((folder / INFO).read_bytes(), type=EncoderInfo)
            graph = (folder / GRAPH).read_bytes()
            told = hashlib.sha256(graph + (folder / WORDS).read_bytes()).hexdigest()
            if told[:16] != self.info.digest:
                raise ValueError("the files are not those that were written together")
            self._tokenizer = Tokenizer.from_file(str(folder / WORDS))
            self._session = session(graph)
        except ImportError as error:
            raise MissingExtra.named("minilm", needed_for=f"the encoder 'onnx:{folder}'") from error
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            raise BadSettings(
                "this folder holds no encoder",
                where=f"encoder 'onnx:{folder}'",
                allowed="a folder that bodega adapt wrote",
                got=error,
                next="bodega adapt",
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(TOKENS)
        self._unknown = self._tokenizer.token_to_id("[UNK]")

    def encode(self, texts: Sequence[str], *, query: bool = False) -> Floats:
        """(len(texts), info.dimensions), rows of length 1; zeros where no piece of the text is known."""
        del query
        rows = np.zeros((len(texts), self.info.dimensions), np.float32)
        for row, text in enumerate(texts):
            ids = self.tokens(text)
            if ids:
                rows[row] = self._run(np.array([ids], np.int64))[0]
        return rows

    def tokens(self, text: str) -> Ids:
        """Ids as the network sees them; [] where no piece of the text is known."""
        ids: Ids = self._tokenizer.encode(cleaned(text)).ids
        return ids if set(ids[1:-1]) - {self._unknown} else []

    def _run(self, ids: NDArray[np.int64]) -> Floats:
        return unit(np.asarray(self._session.run(None, {"ids": ids})[0], np.float32))
