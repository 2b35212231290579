"""How does a vector become codes in a space that is learned for it? A residual-quantised autoencoder.

An encoder of two layers makes 128 numbers 32, residual quantisation writes them as codes, a decoder makes 128 of the
centroids' sum again. Gradients pass the rounding as if it were not there; the codes are pulled to the latents and the
latents to the codes. The books start from residual k-means of the untrained latents (else most codes are never used).
It gives a `_quantiser.Quantiser` with layers before its books, so nothing else knows the difference. Whether it is
worth 40 CPU s more than k-means stands in docs/decisions/0022-generative.md.
Papers: Lee et al. 2022 (RQ-VAE); van den Oord et al. 2017 (VQ-VAE); Rajput et al. 2023 (TIGER).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding, linear, mse_loss, relu

from bodega.protocols import Training
from bodega.retrieval._neural.loop import Noise, Plan, train
from bodega.retrieval._neural.weights import Arrays
from bodega.retrieval.generative._quantiser import Quantiser
from bodega.retrieval.generative.options import GenerativeOptions
from bodega.schema.arrays import Floats, Longs

LATENT = 32
HIDDEN = 96
STEPS = 2_000
MOST = 200
"""Epochs at most, where an epoch is a step or two."""
BATCH = 512
COMMITMENT = 0.25


def autoencoded(vectors: Floats, options: GenerativeOptions, n_codes: int) -> Quantiser:
    """Learn the autoencoder on the rows; the same rows give the same codes."""
    start = _start(vectors, options, n_codes)
    if len(vectors) < 2 * n_codes:
        return _made(start)  # nothing to learn from that few
    task = _Reconstruct(vectors, options)
    steps = -(-len(vectors) // BATCH)
    plan = Plan(
        epochs=min(MOST, max(1, STEPS // steps)), rate=1e-3, dropout=0.0, seed=options.seed, task="learn semantic ids"
    )
    return _made(train(start, task, plan, Training()).weights)


@dataclass(frozen=True)
class _Reconstruct:
    """See `_neural.loop.Task`: vectors from their codes."""

    vectors: Floats
    options: GenerativeOptions

    def order(self, epoch: int) -> Sequence[Longs]:
        drawn = np.random.default_rng([self.options.seed, epoch, 6]).permutation(len(self.vectors))
        return [drawn[low : low + BATCH] for low in range(0, len(drawn), BATCH)]

    def prepare(self, rows: Longs, rng: np.random.Generator) -> Tensor:
        del rng
        return torch.from_numpy(self.vectors[rows])

    def loss(self, weights: Mapping[str, Tensor], batch: Tensor, noise: Noise) -> Tensor:
        del noise
        z = linear(relu(linear(batch, weights["in0"], weights["in0b"])), weights["in1"], weights["in1b"])
        left, total = z, torch.zeros(())
        for level in range(self.options.levels):
            book = weights[f"book{level}"]
            with torch.no_grad():
                code = (left @ book.T - (book * book).sum(dim=1) / 2).argmax(dim=1)
            meant = embedding(code, book)
            total = total + mse_loss(meant, left.detach()) + COMMITMENT * mse_loss(left, meant.detach())
            left = left - meant.detach()
        said = z + (z - left - z).detach()
        back = linear(
            relu(linear(said, weights["out0"], weights["out0b"])),
            weights["out1"],
            weights["out1b"],
        )
        return total + mse_loss(back, batch) * batch.shape[1]

    def judge(self, weights: Mapping[str, Tensor]) -> float:
        del weights
        return 0.0


def _start(vectors: Floats, options: GenerativeOptions, n_codes: int) -> Arrays:
    rng = np.random.default_rng([options.seed, 4])
    width = vectors.shape[1]
    sizes = {"in0": (HIDDEN, width), "in1": (LATENT, HIDDEN), "out0": (HIDDEN, LATENT), "out1": (width, HIDDEN)}
    found: Arrays = {}
    for name, shape in sizes.items():
        found[name] = (rng.standard_normal(shape) * np.sqrt(2 / shape[1])).astype(np.float32)
        found[f"{name}b"] = np.zeros(shape[0], np.float32)
    before = Quantiser(np.zeros((0, n_codes, LATENT), np.float32), _layers(found)).latent(vectors)
    books = Quantiser.learn(before, options.levels, n_codes, seed=options.seed).books
    return found | {f"book{level}": book for level, book in enumerate(books)}


def _layers(weights: Arrays) -> tuple[tuple[Floats, Floats], ...]:
    return ((weights["in0"], weights["in0b"]), (weights["in1"], weights["in1b"]))


def _made(weights: Arrays) -> Quantiser:
    books = np.stack([weights[name] for name in sorted(weights) if name.startswith("book")])
    return Quantiser(books, _layers(weights))
