"""The numbers of the sequential source, each chosen on validation items (docs/decisions/0021-sequential.md)."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["transformer", "gru", "cnn", "hstu"]


class SequentialOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is learned, for how long, and which extras are on. What is 0 or False is off because it did not pay."""

    encoder: Kind = "transformer"
    dimensions: int = 64
    layers: int = 2
    heads: int = 2
    newest: int = 50
    """Steps of a history that are read."""
    dropout: float = 0.5
    batch: int = 128
    """Rows a step, ..."""
    places: int = 2_048
    """... but no more than this many places in all of them: rows of 50 come 40 at a time."""
    epochs: int = 16
    guesses: int = 2_500_000
    """At most so many next items are guessed in all: a large log has fewer epochs, then less than one, newest first."""
    rate: float = 4e-3
    weight_decay: float = 0.0
    negatives: int = 1_024
    """Items that every guess of a batch is told from: drawn once a batch, the same for all of it."""
    popular: float = 0.0
    """Share of the negatives that is drawn in proportion to events instead of evenly."""
    correction: float = 0.0
    """How much of log(expected draws) is taken off a negative's score (logQ; 1: an estimate of the full softmax)."""
    svd: float = 0.1
    """Deviation of the item vectors at the start, from co-occurrence; 0: from noise of deviation .02."""
    attributes: bool = True
    """Add the mean of an item's attribute vectors to its own, where it is read and where it is guessed."""
    titles: int = 64
    """Directions of title words that are mapped into an item's vector; 0: none."""
    cold: bool = True
    """Score items that nobody wanted yet by what the catalog says of them; False: no opinion."""
    masked: float = 0.0
    """Lambda of the joint task: fifth of the items hidden, guessed from both sides."""
    contrast: float = 0.0
    """Lambda of telling a shopper's row, items hidden, from other rows of the batch."""
    adversarial: float = 0.0
    """Lambda of the same loss on item vectors moved by `epsilon` where it hurts most."""
    epsilon: float = 0.5
    patience: int = 0
    """Early stopping after so many epochs without gain on held-out newest items; 0: off."""
    warm: float = 0.0
    """Share of the epochs after a warm start; 0: begin anew even where there is a previous snapshot."""
    seed: int = 7

    def epochs_for(self, guesses: int) -> int:
        """Passes over so many guesses, at least one (`rows_for` bounds that one)."""
        return max(1, min(self.epochs, self.guesses // max(guesses, 1)))
