"""The network in plain numpy, one request at a time: steps become a state, a state becomes chances of codes.

    steps --(+ action, + place)--> causal Transformer --> state --> level 0: chances of 256 first codes
                                                            + path[0][code] --> level 1: chances of second codes ...

The *timeline* (encoder) reads what was done; the *depth* decoder is one small residual network a level over the state
plus the codes chosen so far. `_learning` is the same in torch, where it is taught; a test holds both within 1e-4.
Cost: 50 steps of 64 numbers .3 ms, 40 paths a level .1 ms. Not for: which ids exist (`_trie`), or the search (`_beam`).
Papers: Vaswani et al. 2017; Kang & McAuley 2018 (SASRec); Rajput et al. 2023 (TIGER); Lee et al. 2022 (depth decoder).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec
import numpy as np

from bodega.retrieval.generative._steps import Read
from bodega.retrieval.generative.options import GenerativeOptions
from bodega.schema import EVENT_CODES
from bodega.schema.arrays import Floats, Ints

Weights = Mapping[str, Floats]
EPSILON = np.float32(1e-5)


class Size(msgspec.Struct, frozen=True):
    """What the shapes of the weights follow from, beside the options."""

    n_codes: int
    n_digits: int
    n_side: int
    """Numbers of an item's own vector."""
    n_words: int = 0
    n_queries: int = 0


def shapes(options: GenerativeOptions, size: Size) -> dict[str, tuple[int, ...]]:
    """{name of a weight: its shape}: what training starts from and what a saved model must hold."""
    d, wide = options.dimensions, options.hidden
    of_level = [*[size.n_codes] * options.levels, size.n_digits]
    found: dict[str, tuple[int, ...]] = {
        "action": (len(EVENT_CODES), d),
        "place": (options.length, d),
        "last.scale": (d,),
        "last.shift": (d,),
    }
    if options.side:
        found["side"] = (size.n_side, d)
    if size.n_words:
        found |= {"words": (size.n_words, d), "ask": (d, d), "asked": (size.n_queries,)}
    for level, count in enumerate(of_level):
        found |= {f"code{level}": (count, d), f"out{level}": (count, d), f"bias{level}": (count,)}
        if options.decoder == "depth":
            found |= {f"up{level}": (wide, d), f"rise{level}": (wide,), f"down{level}": (d, wide)}
            found |= {f"end{level}.scale": (d,), f"end{level}.shift": (d,)}
        if level < options.levels:
            found[f"path{level}"] = (count, d)
    for layer in range(options.layers):
        found |= block_shapes(f"block{layer}", d, wide)
    if options.decoder == "t5":
        found |= {"begin": (d,), "depth": (options.levels + 1, d), "end.scale": (d,), "end.shift": (d,)}
        for layer in range(options.layers):
            found |= block_shapes(f"decode{layer}", d, wide)
            found |= {f"cross{layer}.ask": (d, d), f"cross{layer}.told": (2 * d, d), f"cross{layer}.out": (d, d)}
            found |= {f"cross{layer}.scale": (d,), f"cross{layer}.shift": (d,)}
    return found


def block_shapes(name: str, d: int, wide: int) -> dict[str, tuple[int, ...]]:
    """The weights of one Transformer block."""
    return {
        f"{name}.scale1": (d,),
        f"{name}.shift1": (d,),
        f"{name}.qkv": (3 * d, d),
        f"{name}.mix": (d, d),
        f"{name}.scale2": (d,),
        f"{name}.shift2": (d,),
        f"{name}.up": (wide, d),
        f"{name}.rise": (wide,),
        f"{name}.down": (d, wide),
        f"{name}.fall": (d,),
    }


def timeline(weights: Weights, options: GenerativeOptions, steps: Floats, *, causal: bool) -> Floats:
    """States (n_steps, d) of the steps' vectors (n_steps, d): state t knows the steps up to t (all, if not causal)."""
    x = steps
    hidden = np.triu(np.full((len(x), len(x)), -np.inf, np.float32), 1) if causal else None
    for layer in range(options.layers):
        x = block(weights, f"block{layer}", x[None], options.heads, hidden)[0]
    return normed(x, weights["last.scale"], weights["last.shift"])


def step_vectors(weights: Weights, vectors: Floats, read: Read) -> Floats:
    """(n_steps, d): each item's vector (`vectors`, (n_items, d)) or the mean of a search's words, its action, place."""
    x = np.zeros((len(read), weights["action"].shape[1]), np.float32)
    item = read.items >= 0
    x[item] = vectors[read.items[item]]
    for at, bag in read.bags:
        x[at] = weights["words"][list(bag)].mean(axis=0)
    return x + weights["action"][read.actions] + weights["place"][: len(read)]


class Decoder(Protocol):
    """Says how likely each code is, given what was done and the codes so far."""

    def logits(self, level: int, paths: Ints) -> Floats:
        """(n_paths, codes of this level) for paths (n_paths, level)."""
        ...


@dataclass(frozen=True, eq=False)
class Depth:
    """The depth decoder over one state (d,)."""

    weights: Weights
    state: Floats

    def logits(self, level: int, paths: Ints) -> Floats:
        held = self.weights
        h = np.tile(self.state, (len(paths), 1))
        for before in range(level):
            h += held[f"path{before}"][paths[:, before]]
        h = h + np.maximum(h @ held[f"up{level}"].T + held[f"rise{level}"], 0) @ held[f"down{level}"].T
        z = normed(h, held[f"end{level}.scale"], held[f"end{level}.shift"])
        found: Floats = z @ held[f"out{level}"].T + held[f"bias{level}"]
        return found


def block(weights: Weights, name: str, x: Floats, heads: int, hidden: Floats | None) -> Floats:
    """One pre-norm Transformer block over (rows, n, d); `hidden` (n, n) is added to the attention, -inf = not seen."""
    w = weights
    y = normed(x, w[f"{name}.scale1"], w[f"{name}.shift1"]) @ w[f"{name}.qkv"].T
    query, key, value = np.split(y, 3, axis=-1)
    x = x + attended(query, key, value, heads, hidden) @ w[f"{name}.mix"].T
    y = normed(x, w[f"{name}.scale2"], w[f"{name}.shift2"])
    y = np.maximum(y @ w[f"{name}.up"].T + w[f"{name}.rise"], 0) @ w[f"{name}.down"].T + w[f"{name}.fall"]
    out: Floats = x + y
    return out


def attended(query: Floats, key: Floats, value: Floats, heads: int, hidden: Floats | None) -> Floats:
    """Scaled dot-product attention over (rows, n, d)."""
    q, k, v = (_headed(part, heads) for part in (query, key, value))
    near = q @ k.swapaxes(-1, -2) / np.float32(np.sqrt(q.shape[-1]))
    if hidden is not None:
        near = near + hidden
    near = np.exp(near - near.max(axis=-1, keepdims=True))
    near /= near.sum(axis=-1, keepdims=True)
    mixed: Floats = (near @ v).swapaxes(-2, -3).reshape(query.shape)
    return mixed


def normed(x: Floats, scale: Floats, shift: Floats) -> Floats:
    """Layer normalisation over the last axis."""
    gap = x - x.mean(axis=-1, keepdims=True)
    found: Floats = gap / np.sqrt((gap * gap).mean(axis=-1, keepdims=True) + EPSILON) * scale + shift
    return found


def log_softmax(logits: Floats) -> Floats:
    """Over the last axis."""
    gap = logits - logits.max(axis=-1, keepdims=True)
    found: Floats = gap - np.log(np.exp(gap).sum(axis=-1, keepdims=True))
    return found


def _headed(x: Floats, heads: int) -> Floats:
    rows, n, d = x.shape
    return x.reshape(rows, n, heads, d // heads).swapaxes(1, 2)
