"""What the neural sources share, and nothing of what makes them different.

    sequences   what each shopper wanted, oldest first: the rows that are learned from
    svd         where to start: vectors of items that are near when people want both
    side        what the catalog says of an item, as vectors: attributes and title words
    weights     named arrays in and out of a folder; a NaN is refused
    loop        the one training loop (torch, and only there)
    checkpoint  what a training that was killed finds again

Not for: serving; a fitted source answers from plain arrays.
"""

from __future__ import annotations

from importlib.util import find_spec

from bodega.errors import MissingExtra


def require_torch(needed_for: str) -> None:
    """Raises MissingExtra, with the command that installs it, where there is no torch."""
    if find_spec("torch") is None:
        raise MissingExtra.named("neural", needed_for=needed_for)
