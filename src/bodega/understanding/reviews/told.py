"""What do the reviews of one item say, in a form that a page can show and a snapshot can keep?"""

from __future__ import annotations

import msgspec


class Quote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A sentence of a review, word for word."""

    text: str
    review: str
    """Id of the review it stands in."""
    polarity: float = 0.0
    """-1 (displeased) to 1 (pleased)."""
    aspects: tuple[str, ...] = ()
    stars: float | None = None


class AspectTold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What reviews say of one aspect."""

    aspect: str
    """`quality`, `size`, `price`, ... (see `aspects.ASPECTS`), or a word that this shop's reviews speak of."""
    praise: int = 0
    complaint: int = 0
    score: float = 0.0
    """Mean of what is said, -1 to 1."""
    quotes: tuple[Quote, ...] = ()
    """The clearest sentence of each side."""


class ItemReviews(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the reviews of an item say on the whole; flagged reviews have no part in it."""

    item: str
    reviews: int = 0
    """Shown reviews with words."""
    sentiment: float = 0.0
    """Their mean, -1 to 1."""
    aspects: tuple[AspectTold, ...] = ()
    """The most spoken of first."""
    summary: tuple[Quote, ...] = ()
    origin: str = "lexicon"
    """Who judged: `lexicon` (a word list, the shop has too few stars yet) or `learned` (from the shop's own stars)."""


class JudgeFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one language's reviews are judged: part of the manifest."""

    language: str
    origin: str
    labels: int


class ReviewFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was analysed."""

    reviews: int = 0
    items: int = 0
    flagged: int = 0
    mean: float | None = None
    """Mean of the stars of all shown reviews."""
    judges: tuple[JudgeFacts, ...] = ()
    mined: tuple[str, ...] = ()
    """Aspects that this shop's reviews speak of beside the built-in ones."""
