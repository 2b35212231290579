"""The few numbers of the generative source, chosen on Beauty's validation items (docs/decisions/0022-generative.md)."""

from __future__ import annotations

from typing import Literal

import msgspec


class GenerativeOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that what is learned depends on, beside the world; and how the beam is searched."""

    ids: Literal["kmeans", "rqvae"] = "kmeans"
    """How vectors become codes: residual k-means, or a residual-quantised autoencoder (`_rqvae`)."""
    decoder: Literal["depth", "t5"] = "depth"
    """How codes are guessed: a small network a level at every position, or an encoder-decoder Transformer."""
    levels: int = 3
    codes: int = 256
    """Codes a level, at most; small catalogs get fewer (`ids.size_of`)."""
    digits: int = 32
    """Items of one leaf told apart, at most; the rest share the last digit."""
    dimensions: int = 64
    layers: int = 2
    heads: int = 2
    hidden: int = 256
    length: int = 50
    """Newest steps that are read."""
    side: bool = True
    """Also read the item's own vector, not only its codes."""
    own_items: int = 100_000
    """Up to so many items each also has a vector of its own, learned from nothing (0: none)."""
    strangers: int = 1_024
    """Items drawn evenly for the dense model's loss, once a batch."""
    batch: int = 128
    guesses: int = 2_600_000
    """Guesses that training makes in all: the number of epochs is this over the guesses of one, within `epochs`."""
    epochs: tuple[int, int] = (3, 30)
    """Fewest and most."""
    rate: float = 2e-3
    dropout: float = 0.3
    weight_decay: float = 0.01
    seed: int = 7
    beam: int = 100
    leaves: int = 400
    """Leaves that are opened after the last code, at most."""
    newcomers: float = 0.05
    """Share of a leaf's probability for its items that nobody has touched."""
    repeats: bool | None = None
    """May what the shopper had be generated again? None: where at least `REPEATS` of all guesses were such."""
    rescoring: float = 4.0
    """Weight of the dense model (state x item vector) beside the log-probability of what the beam reaches; it is taught
    with a loss of its own. 0: the path alone decides, and scores are exact log-probabilities."""
    people: int = 5
    """A query, or a word of one, is known where so many different people asked it (k-anonymity)."""


REPEATS = 0.05
