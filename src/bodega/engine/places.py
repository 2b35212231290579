"""Which lists does a shop have, and which sources may feed each? Data, not code: the engine never asks for a name.

The weights of a place's sources are fitted on validation by `learn`; a source that does not help there gets 0.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

FALLBACK = "popular"
"""The source that always has an answer: the last rung of every ladder but the plain order of the catalog."""
RARE = 5
"""An item that at most so many events of interest speak of is rare."""
RAREST = 0.2
"""This part of the items, the least known, is rare in any shop."""


@dataclass(frozen=True, slots=True)
class Place:
    """One kind of list."""

    name: str
    weights: dict[str, float]
    """The sources that may feed it, with the weights used where the log is too short to fit any."""
    anchored: bool = False
    """Asked around the items of the request (product page, basket); else around the shopper's history."""
    personal: bool = True
    """Does the shopper's history change the list?"""
    fresh: bool = False
    """May what the shopper already has be left out? (It is, where the log shows that people here rarely buy again.)"""
    fill: bool = True
    """Top the list up with popular items when the sources give too few."""
    whole: bool = False
    """Browse the whole shelf (category page) instead of the sources' candidates."""
    sold_out: bool = False
    """Show items that cannot be bought now (last); else they are left out."""
    fitted: bool = False
    """Does `learn` fit the weights on validation?"""

    evidence: tuple[str, ...] = ()
    """Event types that can tell what is right here (all interest when empty). What is bought on one visit goes
    together; it says nothing of what could stand in for it."""
    rare: bool = False
    """Show only rare items (`cold.rare_of`), and those that came after the last learn."""
    proposes: tuple[str, ...] = ()
    """The sources that may propose candidates (all of them when empty); the others only score."""

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(self.weights)

    def among(self, available: Container[str]) -> tuple[str, ...]:
        """The sources of this place that a shop has (a pretrained encoder is a choice)."""
        return tuple(name for name in self.weights if name in available)


PLACES: dict[str, Place] = {
    place.name: place
    for place in (
        Place(
            "home",
            {
                "transition": 1.0,
                "sequential": 1.0,
                "generative": 0.3,
                "collaborative": 0.5,
                "content": 0.5,
                "dense": 0.3,
                "profile": 0.5,
                "graph": 0.0,
                "slim": 0.0,
                "matrix": 0.0,
                "knowledge": 0.0,
                "appeal": 0.5,
                "repeat": 1.0,
                "popular": 0.1,
            },
            fresh=True,
            fitted=True,
        ),
        Place("repeat", {"repeat": 1.0}, fill=False),
        Place("recent", {"recent": 1.0}, fill=False),
        # What hardly anybody has found yet. Its weights are chosen apart (`choosing`): no event says what is right.
        Place(
            "rare",
            {"content": 1.0, "dense": 0.3, "sentences": 0.3, "profile": 0.5, "pictures": 0.3},
            fresh=True,
            rare=True,
        ),
        Place("popular", {"popular": 1.0}, personal=False),
        Place("trending", {"popular": 1.0}, personal=False),
        Place(
            "category",
            {"popular": 1.0, "transition": 0.3, "collaborative": 0.3, "repeat": 0.3},
            whole=True,
            sold_out=True,
        ),
        Place(
            "similar",
            {
                "content": 1.0,
                "dense": 0.5,
                "profile": 0.5,
                "pictures": 0.3,
                "substitutes": 0.2,
                "knowledge": 0.2,
                "transition": 0.15,
                "collaborative": 0.05,
                "popular": 0.01,
            },
            anchored=True,
            fitted=True,
            evidence=("view", "click"),
        ),
        Place("looks_like", {"pictures": 1.0, "content": 0.15, "popular": 0.01}, anchored=True),
        Place(
            "together",
            {
                "transition": 1.0,
                "complements": 1.0,
                "knowledge": 0.3,
                "slim": 0.3,
                "collaborative": 0.3,
                "profile": 0.1,
                "popular": 0.05,
            },
            anchored=True,
            fitted=True,
        ),
        Place(
            "basket",
            {
                "transition": 1.0,
                "complements": 0.3,
                "knowledge": 0.2,
                "sequential": 0.3,
                "collaborative": 0.3,
                "repeat": 0.5,
                "popular": 0.05,
            },
            anchored=True,
            fitted=True,
        ),
        # Words and their meaning decide, behaviour breaks near-ties: thousands of supermarket items share one title.
        Place(
            "search",
            {
                "lexical": 1.0,
                "dense": 0.25,
                "sentences": 0.35,
                "profile": 0.0,
                "intent": 0.1,
                "asked": 0.3,
                "knowledge": 0.1,
                "popular": 0.1,
                "transition": 0.05,
                "repeat": 0.15,
            },
            fill=False,
            sold_out=True,
            fitted=True,
            proposes=("lexical", "dense", "sentences"),
        ),
    )
}

PHOTO = Place(
    "photo",
    {"pictures": 1.0, "profile": 0.3, "intent": 3.0, "lexical": 0.3, "dense": 0.2, "sentences": 0.2, "popular": 0.02},
    personal=False,
    fill=False,
    sold_out=True,
    proposes=("pictures", "lexical"),
)
"""A search by photo, with words or without: what a request for `search` that brings a photo becomes. Logs hold no
photos to fit weights on; these are chosen on half of Luma (docs/decisions/0040-image-search.md)."""

DEFAULT_WEIGHTS: dict[str, dict[str, float]] = {name: place.weights for name, place in PLACES.items()} | {
    PHOTO.name: PHOTO.weights
}
