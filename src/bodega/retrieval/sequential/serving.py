"""What has this shopper in mind? The four encoders of `nets` in plain numpy: one row in, the state after it out.

Equal to torch within 1e-4 (a test compares all four). Cost: a history of 50, d 64, 2 layers: .4 ms (transformer, hstu),
.8 ms (cnn), 1.1 ms (gru).
Not for: learning.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bodega.retrieval.sequential.options import SequentialOptions
from bodega.retrieval.sequential.shapes import HEIGHTS, SIGHT
from bodega.schema.arrays import Floats

Weights = Mapping[str, Floats]


class Reader:
    """An encoder with its weights."""

    def __init__(self, options: SequentialOptions, weights: Weights) -> None:
        self.options = options
        self.weights = weights
        self.layers = [
            {name.partition(".")[2]: value for name, value in weights.items() if name.startswith(f"layer{layer}.")}
            for layer in range(options.layers)
        ]

    def state(self, x: Floats) -> Floats:
        """(steps, d) inputs, oldest first, at least one -> (d,) the state after the last."""
        for own in self.layers:
            y = _normed(x, own["gain"], own["bias"])
            if self.options.encoder == "transformer":
                x = x + _attention(own, y, self.options.heads)
                x = x + _feed(own, _normed(x, own["feed.gain"], own["feed.bias"]))
            elif self.options.encoder == "hstu":
                x = x + _gated(own, y, self.options.heads)
            elif self.options.encoder == "gru":
                x = x + _recurrent(own, y)
            else:
                x = x + _filtered(own, y)
        last: Floats = _normed(x[-1:], self.weights["norm.gain"], self.weights["norm.bias"])[0]
        return last


def _normed(x: Floats, gain: Floats, bias: Floats) -> Floats:
    centred = x - x.mean(-1, keepdims=True)
    scale = np.sqrt((centred * centred).mean(-1, keepdims=True) + np.float32(1e-6))
    out: Floats = centred / scale * gain + bias
    return out


def _heads(x: Floats, heads: int) -> Floats:
    return x.reshape(len(x), heads, -1).transpose(1, 0, 2)


def _joined(x: Floats) -> Floats:
    return x.transpose(1, 0, 2).reshape(x.shape[1], -1)


def _attention(own: Weights, y: Floats, heads: int) -> Floats:
    query, key, value = (_heads(part, heads) for part in np.split(y @ own["read"], 3, -1))
    weight = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(query.shape[-1]))
    weight += np.triu(np.full(weight.shape[1:], -np.inf, np.float32), 1)
    weight = np.exp(weight - weight.max(-1, keepdims=True))
    weight /= weight.sum(-1, keepdims=True)
    out: Floats = _joined(weight @ value) @ own["write"]
    return out


def _feed(own: Weights, y: Floats) -> Floats:
    out: Floats = np.maximum(y @ own["feed.in"] + own["feed.in_bias"], 0) @ own["feed.out"] + own["feed.out_bias"]
    return out


def _gated(own: Weights, y: Floats, heads: int) -> Floats:
    read = _silu(y @ own["read"])
    d = y.shape[1]
    gate, query, key, value = (read[:, part * d : (part + 1) * d] for part in range(4))
    query, key, value = (_heads(part, heads) for part in (query, key, value))
    steps = len(y)
    back = np.abs(np.arange(steps)[:, None] - np.arange(steps))
    weight = _silu(query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(query.shape[-1])) + own["distance"][:, back])
    seen = np.tril(np.ones((steps, steps), np.float32))
    found = (weight * (seen / seen.sum(1, keepdims=True))) @ value
    calm: Floats = _normed(_joined(found.astype(np.float32, copy=False)), own["inner.gain"], own["inner.bias"])
    out: Floats = np.multiply(calm, gate, dtype=np.float32) @ own["write"]
    return out


def _recurrent(own: Weights, y: Floats) -> Floats:
    given = y @ own["input"].T + own["input_bias"]
    d = y.shape[1]
    turned, bias = np.ascontiguousarray(own["state"].T), own["state_bias"]
    out: Floats = np.empty_like(y)
    state: Floats = np.zeros(d, np.float32)
    for step in range(len(y)):
        held, new = state @ turned + bias, given[step]
        gates = _sigmoid(held[: 2 * d] + new[: 2 * d])
        fresh = np.tanh(new[2 * d :] + gates[:d] * held[2 * d :])
        np.add(fresh, gates[d:] * (state - fresh), out=state)
        out[step] = state
    return out


def _filtered(own: Weights, y: Floats) -> Floats:
    steps, d = y.shape
    before = np.concatenate([np.zeros((SIGHT - 1, d), np.float32), y])
    read, bias = [], np.split(own["filter_bias"], len(HEIGHTS))
    for height, own_bias in zip(HEIGHTS, bias, strict=True):
        seen = np.lib.stride_tricks.sliding_window_view(before, height, axis=0)  # (places, d, height)
        found = seen.reshape(len(seen), -1) @ own[f"filter{height}"].reshape(len(own_bias), -1).T + own_bias
        read.append(np.lib.stride_tricks.sliding_window_view(found, SIGHT - height + 1, axis=0).max(-1))
    across = np.lib.stride_tricks.sliding_window_view(before, SIGHT, axis=0) @ own["vertical"]  # (steps, d, VERTICAL)
    read.append(across.transpose(0, 2, 1).reshape(steps, -1))
    out: Floats = np.maximum(np.concatenate(read, 1), 0) @ own["write"] + own["write_bias"]
    return out


def _silu(x: Floats) -> Floats:
    return x * _sigmoid(x)


def _sigmoid(x: Floats) -> Floats:
    out: Floats = np.float32(0.5) * (np.tanh(np.float32(0.5) * x) + np.float32(1))
    return out
