"""The error of a part that does not keep its contract: what is broken, for which input, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable

from bodega.errors import BodegaError


class ContractBroken(BodegaError, AssertionError):
    """A promise of `bodega.protocols` is not kept. An AssertionError too, so that test runners show it as a failure."""


def require(kept: bool, what: str, *, where: str = "", got: object = None, fix: str = "") -> None:
    """Raise ContractBroken unless the promise is kept."""
    if not kept:
        raise ContractBroken(what, where=where, got=got, next=fix)


def equal(got: object, wanted: object, what: str) -> None:
    """Raise ContractBroken unless both are equal."""
    require(got == wanted, what, got=got, fix=f"expected {wanted!r}"[:500])


def raises(kind: type[Exception], call: Callable[[], object]) -> None:
    """Raise ContractBroken unless the call raises an error of this kind."""
    try:
        got = call()
    except kind:
        return
    except Exception as error:
        raise ContractBroken(f"{kind.__name__} is not what it raises", got=error) from error
    raise ContractBroken(f"{kind.__name__} is not raised", got=got)
