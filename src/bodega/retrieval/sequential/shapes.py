"""Which arrays is a sequential model made of, and where do they start? One list, for learning, saving and loading.

    tables    item (one row a known item), attribute, title: what an item's vector is summed from
    encoder   position, action, mask, norm.*, and per layer what the kind of encoder needs

Matrices are (inputs, outputs): `x @ w`.
"""

from __future__ import annotations

import numpy as np

from bodega.retrieval._neural.weights import Arrays
from bodega.retrieval.sequential.options import SequentialOptions
from bodega.schema import EVENT_CODES
from bodega.schema.arrays import Floats

Shapes = dict[str, tuple[int, ...]]

HEIGHTS = (1, 2, 3, 4)
"""Steps that a horizontal filter of the CNN reads."""

FILTERS = 16
"""Horizontal filters of each height."""

VERTICAL = 4
"""Vertical filters: weighted sums of the newest `SIGHT` steps."""

SIGHT = 8
"""Steps that one layer of the CNN sees."""

FEED = 4
"""Width of a Transformer's feed-forward part, in dimensions."""


def encoder_shapes(options: SequentialOptions) -> Shapes:
    """Everything a request needs beside the item vectors."""
    d = options.dimensions
    shapes: Shapes = {
        "position": (options.newest, d),
        "action": (max(EVENT_CODES.values()) + 1, d),
        "mask": (d,),
        "norm.gain": (d,),
        "norm.bias": (d,),
    }
    for layer in range(options.layers):
        shapes |= {f"layer{layer}.{name}": shape for name, shape in _layer(options).items()}
    return shapes


def _layer(options: SequentialOptions) -> Shapes:
    d = options.dimensions
    shapes: Shapes = {"gain": (d,), "bias": (d,)}
    if options.encoder == "transformer":
        shapes |= {"read": (d, 3 * d), "write": (d, d), "feed.gain": (d,), "feed.bias": (d,)}
        shapes |= {"feed.in": (d, FEED * d), "feed.in_bias": (FEED * d,), "feed.out": (FEED * d, d)}
        shapes |= {"feed.out_bias": (d,)}
    elif options.encoder == "hstu":
        shapes |= {"read": (d, 4 * d), "write": (d, d), "distance": (options.heads, options.newest)}
        shapes |= {"inner.gain": (d,), "inner.bias": (d,)}
    elif options.encoder == "gru":
        shapes |= {"input": (3 * d, d), "state": (3 * d, d), "input_bias": (3 * d,), "state_bias": (3 * d,)}
    else:
        shapes |= {f"filter{height}": (FILTERS, d, height) for height in HEIGHTS}
        shapes |= {"filter_bias": (len(HEIGHTS) * FILTERS,), "vertical": (SIGHT, VERTICAL)}
        shapes |= {"write": (len(HEIGHTS) * FILTERS + VERTICAL * d, d), "write_bias": (d,)}
    return shapes


def started(shapes: Shapes, rng: np.random.Generator) -> Arrays:
    """Gains 1, biases and actions 0, positions small, matrices by the root of their inputs (Glorot)."""
    return {name: _start(name, shape, rng) for name, shape in shapes.items()}


def _start(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    if name.endswith("gain"):
        return np.ones(shape, np.float32)
    if name.endswith(("bias", "distance")) or name == "action":
        return np.zeros(shape, np.float32)
    if name in ("position", "mask"):
        small: Floats = (0.02 * rng.standard_normal(shape)).astype(np.float32)
        return small
    wide = np.prod(shape[1:]) if len(shape) == 3 or name.endswith((".input", ".state")) else shape[0]
    scaled: Floats = (rng.standard_normal(shape) / np.sqrt(float(wide))).astype(np.float32)
    return scaled
