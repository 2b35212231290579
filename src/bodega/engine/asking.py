"""The lists of a shop by name: each builds a request and asks `answer`. Not for: making pages (`answer.py`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from bodega.schema import Filter, Page, Request, Sort


class Asks(ABC):
    """Whoever answers requests has every list."""

    @abstractmethod
    def answer(self, request: Request) -> Page:
        """One page. Raises BadRequest, NotLearned."""

    def search(  # noqa: PLR0913 - one argument a control of the results page
        self,
        query: str,
        *,
        user: str = "",
        session: str = "",
        k: int = 20,
        offset: int = 0,
        filters: tuple[Filter, ...] = (),
        facets: tuple[str, ...] = (),
        sort: Sort = Sort.RELEVANCE,
        sort_by: str = "",
        where: str = "",
        facet_query: str = "",
        language: str = "",
        personal: bool = True,
        verbatim: bool = False,
        segments: tuple[str, ...] = (),
        image: str = "",
    ) -> Page:
        """The results page for a query, for a photo, or for both; neither browses the whole shelf. What each control
        means: `Request`.

        Raises BadRequest (an unknown field, a filter expression that cannot be read, a page out of range), NotLearned.
        """
        place = "search" if query.strip() or image else "category"
        request = Request(
            place=place,
            query=query,
            user=user,
            session=session,
            k=k,
            offset=offset,
            filters=filters,
            facets=facets,
            sort=sort,
            sort_by=sort_by,
            where=where,
            facet_query=facet_query,
            language=language,
            personal=personal,
            verbatim=verbatim,
            segments=segments,
            image=image,
        )
        return self.answer(request)

    def recommend(self, place: str = "home", *, user: str = "", session: str = "", k: int = 20) -> Page:
        """A list for a shopper: home, popular, trending, rare, repeat, recent, category."""
        return self.answer(Request(place=place, user=user, session=session, k=k))

    def similar(self, item: str, *, user: str = "", session: str = "", k: int = 20) -> Page:
        """Items that could stand in for this one."""
        return self.answer(Request(place="similar", items=(item,), user=user, session=session, k=k))

    def together(self, item: str, *, user: str = "", session: str = "", k: int = 20) -> Page:
        """Items that are bought with this one."""
        return self.answer(Request(place="together", items=(item,), user=user, session=session, k=k))

    def complete(self, basket: Sequence[str], *, user: str = "", session: str = "", k: int = 20) -> Page:
        """What is missing in this basket."""
        return self.answer(Request(place="basket", items=tuple(basket), user=user, session=session, k=k))
