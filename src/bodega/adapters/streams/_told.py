"""How does what a broker's client raises become our own error? Around each call, in one way for all brokers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bodega.errors import StreamFailed


@contextmanager
def translated(kinds: tuple[type[Exception], ...], failed: Callable[[object], StreamFailed]) -> Iterator[None]:
    """What runs inside raises `failed` where the client raises one of these kinds."""
    try:
        yield
    except kinds as error:
        raise failed(error) from error
