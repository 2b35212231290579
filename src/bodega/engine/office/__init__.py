"""`shop.office`: what the people who run a shop look at, beside what shoppers are shown.

    clinic      the catalog examined: findability, worst items, twins
    people      one shopper: state, timeline, lists, with a trace of every look
    models      snapshots: figures beside baselines, maps, promotion and rollback
    fairness    who is shown, who is served how well
    trail       who looked, who switched: never rewritten

Nothing here is read or computed until it is asked for. Cost when unused: none. Not for: pages of shoppers.
"""

from __future__ import annotations

from pathlib import Path

from bodega.engine.office.clinic import Clinic
from bodega.engine.office.fairness import Fairness
from bodega.engine.office.models import Models
from bodega.engine.office.people import People
from bodega.engine.office.shop import OfficeShop
from bodega.engine.office.trail import Trail

__all__ = ["Clinic", "Fairness", "Models", "Office", "OfficeShop", "People", "Trail"]


class Office:
    """The back office of one shop. What it writes lies in `folder`/office (default: the shop's folder)."""

    def __init__(self, shop: OfficeShop, folder: Path | None = None) -> None:
        home = shop.folder if folder is None else folder
        self.trail = Trail(home)
        self.clinic = Clinic(shop, home)
        self.people = People(shop, self.trail)
        self.models = Models(shop, self.trail, home)
        self.fairness = Fairness(shop, home)
