"""What must a learned model do, whatever it is made of? Numbers of a request's items in, one number an item out.

How models are learned is another matter (`Learner`); here is what serves: flat arrays, numpy alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bodega.features import Asked
from bodega.schema.arrays import Floats


@dataclass(frozen=True, slots=True)
class Table:
    """The features of one request's items."""

    values: Floats
    """(n_columns, n_items) float32, finite; one row a column."""
    asked: Asked
    """Whose request: a network that attends to the history finds it here."""


class Model(Protocol):
    """Contract: the score of an item is finite, and the same whatever the other items of the table are (given their
    features); `contributions` sum up to the score, `base` included, to 1e-4 of its size."""

    @property
    def kind(self) -> str:
        """`logistic`, `trees`, ...: what is served, in words of the report."""
        ...

    @property
    def exact(self) -> bool:
        """Are `contributions` exact? If not, whoever shows them says "approximately"."""
        ...

    @property
    def base(self) -> float:
        """The score of nothing known."""
        ...

    def score(self, table: Table) -> Floats:
        """(n_items,) float32, higher is better."""
        ...

    def contributions(self, table: Table) -> Floats:
        """(n_items, n_columns): how much each feature moved the score away from `base`."""
        ...

    def save(self, folder: Path) -> None:
        """Flat arrays into the (existing, empty) folder; `load(folder, n_columns)` of the class maps them."""
        ...
