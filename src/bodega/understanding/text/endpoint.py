"""Embeddings from any OpenAI-compatible server: a hosted model, vLLM, llama.cpp, Ollama, text-embeddings-inference.

Answers: a direction; how many dimensions the server says.  Needs: the extra `llm` (the `openai` client), a base URL,
and for most servers a key in the environment variable BODEGA_ENDPOINT_KEY (never in a settings file, never in a log or
an error: what a server echoes of it is blotted out).  Good for: the model that a company already runs.
Not for: latency (a network round trip a query: put `CachedEncoder` around it) nor privacy (queries leave the machine).
Cost: the server's. A query waits 3 s at most and is tried once more; batches are patient.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from bodega import failpoints
from bodega.errors import BadSettings, EndpointFailed, MissingExtra
from bodega.protocols import EncoderInfo
from bodega.understanding.text._cleaning import cleaned

KEY = "BODEGA_ENDPOINT_KEY"
BATCH = 64
"""Texts a request; hosted servers take 96 to 2,048, small ones fewer."""
TOGETHER = 4
"""Requests in flight while a catalog is encoded."""
QUERY_SECONDS = 3.0
BATCH_SECONDS = 60.0
BATCH_RETRIES = 4
"""With the client's growing pauses: about 8 s of a server that is away or says 429 are outlived."""


class EndpointEncoder:
    """Implements `protocols.Encoder`, except that `encode` raises EndpointFailed when the server fails."""

    def __init__(self, model: str, base: str) -> None:
        """Asks once, to learn the dimensions. Raises MissingExtra, BadSettings, EndpointFailed."""
        try:
            from openai import OpenAI
        except ImportError as error:
            raise MissingExtra.named("llm", needed_for=f"the encoder 'endpoint:{model}'") from error
        address = urlsplit(base)
        if address.scheme not in ("http", "https") or not address.hostname or address.username or address.password:
            raise BadSettings(
                "the encoder's endpoint is not an address",
                where="understand.endpoint",
                allowed="http(s)://host[:port]/path such as http://127.0.0.1:8000/v1, without a name or password",
                next=f"set understand.endpoint; a key goes into the environment variable {KEY}",
            )
        self._model = model
        self._where = f"{address.scheme}://{address.netloc}{address.path}"
        self._key = os.environ.get(KEY, "")
        # Without a key of ours the client would send OPENAI_API_KEY, which belongs to somebody else.
        self._client = OpenAI(api_key=self._key or "none", base_url=base, timeout=BATCH_SECONDS, max_retries=0)
        self._dimensions = 0
        self._dimensions = self._ask(["probe"], query=False).shape[1]
        self.info = EncoderInfo(f"endpoint:{model}", self._dimensions, "", (), f"{model} at {self._where}")

    def encode(self, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]:
        """(len(texts), info.dimensions), rows of length 1; zeros for a text without letters. Raises EndpointFailed."""
        rows = np.zeros((len(texts), self._dimensions), np.float32)
        clean = [cleaned(text) for text in texts]
        places = [place for place, text in enumerate(clean) if text]
        parts = [places[start : start + BATCH] for start in range(0, len(places), BATCH)]

        def fill(part: list[int]) -> None:
            rows[part] = self._ask([clean[place] for place in part], query=query)

        if len(parts) <= 1:
            for part in parts:
                fill(part)
        else:
            with ThreadPoolExecutor(TOGETHER, thread_name_prefix="bodega-endpoint") as pool:
                list(pool.map(fill, parts))
        return rows

    def _ask(self, texts: list[str], *, query: bool) -> NDArray[np.float32]:
        """One request; the rows in the order of the texts."""
        from openai import OpenAIError

        client = self._client.with_options(
            timeout=QUERY_SECONDS if query else BATCH_SECONDS, max_retries=1 if query else BATCH_RETRIES
        )
        spoiled = False
        try:
            if failpoints.ON:
                spoiled = failpoints.reach("encoder.query" if query else "encoder.batch")
            answer = client.embeddings.create(model=self._model, input=texts, encoding_format="float")
        except (OpenAIError, ValueError, OSError) as error:  # ValueError: an answer that is not JSON
            raise self._failed("the encoder's endpoint did not answer", f"{type(error).__name__}: {error}") from None
        rows = self._rows(None if spoiled else answer, len(texts))
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)

    def _rows(self, answer: Any, count: int) -> NDArray[np.float64]:
        """(count, dimensions) of an answer that may be anything. Raises EndpointFailed."""
        wanted = "one embedding a text, all of one length, finite"
        data = getattr(answer, "data", None)
        try:
            rows = np.array([one.embedding for one in sorted(data or [], key=lambda one: one.index)], np.float64)
        except (TypeError, ValueError, AttributeError):
            raise self._failed("the encoder's endpoint answered nonsense", "something else", wanted) from None
        good = rows.ndim == 2 and len(rows) == count and rows.shape[1] in (self._dimensions or rows.shape[1],)
        if not good or not rows.shape[1] or not math.isfinite(float(np.abs(rows).sum())):
            got = f"shape {rows.shape} for {count} texts, {self._dimensions or 'any number of'} dimensions expected"
            raise self._failed("the encoder's endpoint answered nonsense", got, wanted)
        return rows

    def _failed(self, what: str, got: str, allowed: str = "") -> EndpointFailed:
        told = got.replace(self._key, "[key]") if self._key else got
        return EndpointFailed(
            what,
            where=f"{self._model} at {self._where}",
            allowed=allowed,
            got=told,
            next=f"see whether the server runs, knows this model, and accepts the key in {KEY}",
        )
