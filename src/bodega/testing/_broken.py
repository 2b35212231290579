"""The error of a part that does not keep its contract: what is broken, for which input, and how to mend it."""

from __future__ import annotations

from bodega.errors import BodegaError


class ContractBroken(BodegaError, AssertionError):
    """A promise of `bodega.protocols` is not kept. An AssertionError too, so that test runners show it as a failure."""


def require(kept: bool, what: str, *, where: str = "", got: object = None, fix: str = "") -> None:
    """Raise ContractBroken unless the promise is kept."""
    if not kept:
        raise ContractBroken(what, where=where, got=got, next=fix)
