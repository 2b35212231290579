"""One question with its known answer: what was known, what the shopper then did, what the list must leave out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bodega.errors import LeakFound
from bodega.schema import Context
from bodega.schema.arrays import NO_INTS, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """`relevant` (item indices, distinct, at least one) is what the shopper then did; `masked` never competes.

    `context` holds only what was known strictly before. `user` is the user code of the log (-1: nobody known);
    the leak check needs it. Raises LeakFound where a relevant item is masked or is one of the anchors: the first
    would give it a rank for free, the second would be an answer printed in the question.
    """

    context: Context
    relevant: Ints
    masked: Ints = field(default_factory=lambda: NO_INTS)
    user: int = -1

    def __post_init__(self) -> None:
        if len(self.relevant) == 0:
            raise LeakFound(
                "a case without a relevant item judges nothing", where="Case(relevant=)", allowed=">= 1 item"
            )
        if len(self.masked) and np.isin(self.relevant, self.masked).any():
            raise LeakFound(
                "a relevant item is masked: it could never be recommended",
                where="Case(masked=)",
                allowed="masked items that are not relevant",
                got=np.intersect1d(self.relevant, self.masked).tolist(),
                next="leave relevant items out of `masked`",
            )
        if len(self.context.items) and np.isin(self.relevant, self.context.items).any():
            raise LeakFound(
                "a relevant item is one of the anchors: the question holds its answer",
                where="Case(context.items)",
                allowed="anchors that are not relevant",
                got=np.intersect1d(self.relevant, self.context.items).tolist(),
                next="take the relevant items out of the anchors",
            )
