"""What did the client ask? Algolia's search parameters, from whatever it wrapped them in.

`params` comes as one URL-encoded string (old clients), as an object, or as fields of the request itself (new ones);
values of a string are texts, some of them holding JSON (`facets=["brand"]`). All become one mapping, and each parameter
that we know is read leniently from it: "20" is 20, "true" is true, "brand,price" a list. Parameters we do not know are
ignored, as InstantSearch and other clients send many that only matter inside Algolia. What is known and makes no sense
is refused, with its name. Cost: about 20 us a request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from bodega.engine.photo import DIRECTIONS as PHOTO_LIMIT
from bodega.engine.photo import is_photo
from bodega.errors import BadRequest

QUERY_LIMIT = 2_000
NAMES_LIMIT = 100
TEXT_LIMIT = 256
HITS = 20
"""Hits a page where nobody says otherwise."""
MOST_HITS = 1_000
"""Largest `hitsPerPage`, and the last hit that can be reached by paging (Algolia's `paginationLimitedTo`)."""
FACET_VALUES = 100
MOST_FACET_VALUES = 1_000
EVERY = "*"

Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """One query, read. Names are Algolia's, in our spelling."""

    query: str = ""
    offset: int = 0
    length: int = HITS
    """How many hits; 0 asks for counts only."""
    page: int = 0
    by_offset: bool = False
    """Was it asked with `offset` and `length` instead of `page` and `hitsPerPage`?"""
    facets: tuple[str, ...] = ()
    facet_values: int = FACET_VALUES
    filters: str = ""
    facet_filters: Any = None
    numeric_filters: Any = None
    tag_filters: Any = None
    retrieve: tuple[str, ...] = (EVERY,)
    highlight: tuple[str, ...] = (EVERY,)
    snippet: tuple[str, ...] = ()
    before: str = "<em>"
    after: str = "</em>"
    ellipsis: str = "…"
    click_analytics: bool = False
    ranking_info: bool = False
    user: str = ""
    personal: bool = True
    language: str = ""
    segments: tuple[str, ...] = ()
    verbatim: bool = False
    image: str = ""
    """Ours, not Algolia's: what `POST /v1/photo` answered."""
    fields: tuple[str, ...] = (EVERY,)
    """Keys of the answer (`responseFields`)."""
    said: str = ""
    """The parameters as one URL-encoded string, for the answer's `params`."""


def of_string(text: str) -> dict[str, Any]:
    """The parameters in a query string. Raises BadRequest."""
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=200, errors="strict"))
    except ValueError as error:
        raise BadRequest(
            "params cannot be read", where="params", allowed="at most 200 parameters, URL-encoded UTF-8", got=str(error)
        ) from error


def gathered(body: Parameters) -> dict[str, Any]:
    """All parameters of one request: those of `params` (a string or an object) and those beside it."""
    inner = body.get("params")
    if inner is None or inner == "":
        found: dict[str, Any] = {}
    elif isinstance(inner, str):
        found = of_string(inner)
    elif isinstance(inner, dict):
        found = dict(inner)
    else:
        raise BadRequest("params has the wrong shape", where="params", allowed="a text or an object", got=inner)
    beside = {name: value for name, value in body.items() if name not in _ENVELOPE}
    return {**found, **beside}


_ENVELOPE = frozenset({"params", "indexName", "type", "facet", "strategy"})


def read(given: Parameters) -> Asked:
    """One query's parameters. Raises BadRequest with the name of the parameter that makes no sense."""
    by_offset = given.get("offset") is not None and given.get("length") is not None
    if by_offset:
        offset, length = _count(given, "offset", 0), _count(given, "length", HITS, MOST_HITS)
        page = offset // length if length else 0
    else:
        page, length = _count(given, "page", 0), _count(given, "hitsPerPage", HITS, MOST_HITS)
        offset = page * length
    return Asked(
        query=_text(given, "query", limit=QUERY_LIMIT),
        offset=offset,
        length=length,
        page=page,
        by_offset=by_offset,
        facets=_names(given, "facets", ()),
        facet_values=_count(given, "maxValuesPerFacet", FACET_VALUES, MOST_FACET_VALUES),
        filters=_text(given, "filters", limit=0),
        facet_filters=_json(given, "facetFilters"),
        numeric_filters=_json(given, "numericFilters"),
        tag_filters=_json(given, "tagFilters"),
        retrieve=_names(given, "attributesToRetrieve", (EVERY,)),
        highlight=_names(given, "attributesToHighlight", (EVERY,)),
        snippet=_names(given, "attributesToSnippet", ()),
        before=_text(given, "highlightPreTag", "<em>"),
        after=_text(given, "highlightPostTag", "</em>"),
        ellipsis=_text(given, "snippetEllipsisText", "…"),
        click_analytics=_flag(given, "clickAnalytics", False),
        ranking_info=_flag(given, "getRankingInfo", False),
        user=_text(given, "userToken"),
        personal=_flag(given, "enablePersonalization", True),
        language=(_names(given, "queryLanguages", ()) or ("",))[0][:8],
        segments=_names(given, "ruleContexts", ()),
        verbatim=_text(given, "typoTolerance", "true").lower() == "false",
        image=_photo(given),
        fields=_names(given, "responseFields", (EVERY,)),
        said=said(given),
    )


def said(given: Parameters) -> str:
    """The parameters as Algolia repeats them: URL-encoded, lists as JSON."""
    return urlencode(
        {
            name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
            for name, value in given.items()
            if value is not None
        }
    )


def _text(given: Parameters, name: str, default: str = "", limit: int = TEXT_LIMIT) -> str:
    value = given.get(name)
    if value is None:
        return default
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        raise _misread(name, "a text", value)
    if limit and len(value) > limit:
        raise BadRequest("a value is too long", where=name, allowed=f"{limit:,} characters", got=f"{len(value):,}")
    return value


def _photo(given: Parameters) -> str:
    """The token of a photo; a photo itself is not taken here, so that no query of a batch waits for one."""
    value = _text(given, "image", limit=2 * PHOTO_LIMIT)
    if value and not is_photo(value):
        raise BadRequest(
            "this is no photo", where="image", allowed="what POST /v1/photo answered", got=value[:60],
            next="send the photo to /v1/photo first",
        )  # fmt: skip
    return value


def _count(given: Parameters, name: str, default: int, most: int = 0) -> int:
    value = given.get(name)
    if value is None or value == "":
        return default
    try:
        number = int(value) if isinstance(value, int | str) and not isinstance(value, bool) else int(float(value))
    except (TypeError, ValueError, OverflowError) as error:
        raise _misread(name, "a whole number", value) from error
    if number < 0 or (most and number > most):
        raise BadRequest(
            "a value is out of range", where=name, allowed=f"0 to {most:,}" if most else "from 0", got=value
        )
    return min(number, 2**31)


def _flag(given: Parameters, name: str, default: bool) -> bool:
    value = given.get(name)
    if value is None or value == "":
        return default
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "1"):
        return True
    if str(value).lower() in ("false", "0"):
        return False
    raise _misread(name, "true or false", value)


def _names(given: Parameters, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
    """A list of texts: as a list, as JSON in a text, or joined by commas."""
    value = _json(given, name)
    if value is None:
        return default
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _misread(name, "a list of texts", value)
    if len(value) > NAMES_LIMIT or any(len(one) > TEXT_LIMIT for one in value):
        raise BadRequest("a list is too long", where=name, allowed=f"{NAMES_LIMIT} names", got=f"{len(value):,}")
    return tuple(dict.fromkeys(value))


def _json(given: Parameters, name: str) -> Any:
    """The value; where it is a text that holds a JSON list, that list."""
    value = given.get(name)
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _misread(name: str, allowed: str, got: object) -> BadRequest:
    return BadRequest("a parameter cannot be read", where=name, allowed=allowed, got=got)
