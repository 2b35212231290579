"""How are many texts of unlike length pushed through a network? Texts with the same number of tokens go together.

No padding, so no arithmetic is wasted and a text's vector cannot depend on its neighbours; a group is cut so that a run
holds about 2,048 tokens (activations of 12 MB stay near the caches). A run uses one thread and releases the
interpreter, so two runs on two cores are two threads of ours: no OpenMP threads that spin after a short query.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

Ids = list[int]
Run = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""(texts, tokens) token ids -> (texts, dimensions), rows of length 1."""

RUN_TOKENS = 2_048


def run_all(run: Run, tokens: Sequence[Ids], dimensions: int) -> NDArray[np.float32]:
    """(len(tokens), dimensions): `run` over groups of equal length; a text without tokens is a row of zeros."""
    rows = np.zeros((len(tokens), dimensions), np.float32)
    groups = _groups(tokens)

    def fill(group: NDArray[np.int64]) -> None:
        rows[group] = run(np.array([tokens[place] for place in group], np.int64))

    workers = min(len(groups), os.cpu_count() or 1)
    if workers <= 1:
        for group in groups:
            fill(group)
    else:
        with ThreadPoolExecutor(workers, thread_name_prefix="bodega-encode") as pool:
            list(pool.map(fill, groups))
    return rows


def _groups(tokens: Sequence[Ids]) -> list[NDArray[np.int64]]:
    """Places of texts with the same number of tokens, longest first (so that no long run is left for the end)."""
    lengths = np.array([len(ids) for ids in tokens], np.int64)
    groups = []
    for length in np.unique(lengths)[::-1]:
        if length:
            places = np.flatnonzero(lengths == length)
            step = max(1, RUN_TOKENS // int(length))
            groups += [places[start : start + step] for start in range(0, len(places), step)]
    return groups
