"""The other form: an encoder-decoder Transformer that reads the whole history at every code (TIGER's T5 in miniature).

Same interface as `_network.Depth`. A decoder of as many layers as the encoder attends to the codes so far and, by cross
attention, to every step of the history. It is here for parity with the papers; its figures and its price stand in
docs/decisions/0022-generative.md. Cost: 40 paths a level .5 ms; training sees one guess a row where the depth decoder
sees all. Papers: Raffel et al. 2020 (T5); Rajput et al. 2023 (TIGER).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bodega.retrieval.generative._network import Weights, attended, block, normed
from bodega.retrieval.generative.options import GenerativeOptions
from bodega.schema.arrays import Floats, Ints


@dataclass(frozen=True, eq=False)
class EncoderDecoder:
    """The decoder over the states (n_steps, d) of one history."""

    weights: Weights
    options: GenerativeOptions
    states: Floats

    def logits(self, level: int, paths: Ints) -> Floats:
        w, heads = self.weights, self.options.heads
        x = np.tile(w["begin"], (len(paths), level + 1, 1))
        for before in range(level):
            x[:, before + 1] = w[f"path{before}"][paths[:, before]]
        x = x + w["depth"][: level + 1]
        hidden = np.triu(np.full((level + 1, level + 1), -np.inf, np.float32), 1)
        for layer in range(self.options.layers):
            x = block(w, f"decode{layer}", self._crossed(layer, x), heads, hidden)
        z = normed(x[:, -1], w["end.scale"], w["end.shift"])
        found: Floats = z @ w[f"out{level}"].T + w[f"bias{level}"]
        return found

    def _crossed(self, layer: int, x: Floats) -> Floats:
        """What the codes so far learn from the history."""
        w, name = self.weights, f"cross{layer}"
        rows, n, d = x.shape
        ask = (normed(x, w[f"{name}.scale"], w[f"{name}.shift"]) @ w[f"{name}.ask"].T).reshape(1, rows * n, d)
        key, value = np.split((self.states @ w[f"{name}.told"].T)[None], 2, axis=-1)
        told = attended(ask, key, value, self.options.heads, None)
        out: Floats = x + (told[0] @ w[f"{name}.out"].T).reshape(rows, n, d)
        return out
