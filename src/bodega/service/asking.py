"""From the bytes of a request to a `Request`: query parameters for simple questions, JSON for everything.

Nothing is guessed: an unknown or repeated parameter is refused with the list of those there are, because a typo that is
swallowed costs a day. All bounds of what may be asked are in this file. Cost: about 15 us a request.

    GET /v1/search?q=trail+shoe&filter=brand:Nike&filter=brand:Salomon&price=10..50&facets=brand,price&sort=price_up
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from bodega.engine.expression import LENGTH_LIMIT
from bodega.errors import BadRequest, TooLarge
from bodega.schema import Filter, Request
from bodega.settings import Settings

T = TypeVar("T")

QUERY_LIMIT = 2_000
"""Characters of a query that are accepted at all (the engine looks at the first 512)."""
NAME_LIMIT = 256
"""Characters of a user, a session, a language, or the name of a field."""
ID_LIMIT = 1_024
OFFSET_LIMIT = 10_000
ANCHORS_LIMIT = 200
FILTERS_LIMIT = 50
IMAGE_LIMIT = 14_000_000
"""Characters of a photo as a data URI: 10 MB."""
SEGMENTS_LIMIT = 50
WHERE_LIMIT = LENGTH_LIMIT
"""Characters of a filter expression."""
VALUES_LIMIT = 200
FACETS_LIMIT = 20
FACET_VALUES = 20
"""Values of one facet that are answered when nobody says how many."""
FACET_VALUES_LIMIT = 100
PARAMETERS_LIMIT = 200
BATCH_LIMIT = 1_000

ONCE = {
    "user": "user",
    "session": "session",
    "k": "k",
    "offset": "offset",
    "language": "language",
    "personal": "personal",
    "sort": "sort",
    "q": "query",
    "place": "place",
    "where": "where",
    "facet_query": "facet_query",
    "sort_by": "sort_by",
    "verbatim": "verbatim",
    "explain": "explain",
    "image": "image",
}
"""Parameter -> field of Request; each may be given once."""
LISTED = {"facets": "facets", "item": "items", "segment": "segments"}
"""Parameters that may be repeated; the names of facets may also be joined by commas."""
RANGE = re.compile(r"(-?\d{1,15}(?:\.\d{1,6})?)?\.\.(-?\d{1,15}(?:\.\d{1,6})?)?")

NARROWED = ("filter", "price", "where")
COUNTED = ("facets", "facet_query")
LIST = ("user", "session", "k", "offset", "language", "personal", "segment", "explain", *NARROWED, *COUNTED)
SEARCH = ("q", "image", "verbatim", "sort", "sort_by", *LIST)
RECOMMEND = ("place", "item", "sort", "sort_by", *LIST)
AROUND = LIST
SUGGEST = ("q", "k", "user", "session", "personal")
FACETS = (
    "field",
    "text",
    "k",
    "q",
    "image",
    "verbatim",
    "user",
    "session",
    "language",
    "personal",
    "segment",
    *NARROWED,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """Query parameters, taken apart."""

    once: dict[str, str]
    many: dict[str, list[str]]


def parameters(query_string: bytes, allowed: Iterable[str]) -> Asked:
    """The parameters of an address. Raises BadRequest for unknown, repeated or broken ones."""
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, max_num_fields=PARAMETERS_LIMIT, errors="strict"
        )
    except ValueError as error:
        raise BadRequest(
            "the query string cannot be read",
            code="asked.address",
            where="address",
            allowed=f"at most {PARAMETERS_LIMIT} parameters, percent-encoded UTF-8",
            got=str(error),
        ) from error
    once: dict[str, str] = {}
    many: dict[str, list[str]] = {}
    for name, value in pairs:
        if name not in allowed:
            raise BadRequest(
                "there is no such parameter",
                code="asked.parameter",
                where="address",
                allowed=", ".join(allowed),
                got=name,
            )
        if name in ("filter", *LISTED):
            many.setdefault(name, []).append(value)
        elif name in once:
            raise BadRequest(f"'{name}' is given twice", where="address", allowed="once", got=value)
        else:
            once[name] = value
    return Asked(once, many)


def from_parameters(query_string: bytes, allowed: Iterable[str], **fixed: Any) -> Request:
    """A Request from an address; `fixed` are fields that the address does not choose."""
    return request_of({**_fields(parameters(query_string, allowed)), **fixed})


def _fields(asked: Asked) -> dict[str, Any]:
    """What parameters say, as fields of a Request."""
    fields: dict[str, Any] = {ONCE[name]: value for name, value in asked.once.items() if name in ONCE}
    if "facets" in asked.many:
        fields["facets"] = tuple(name for value in asked.many["facets"] for name in value.split(",") if name)
    if "item" in asked.many:
        fields["items"] = tuple(asked.many["item"])
    if "segment" in asked.many:
        fields["segments"] = tuple(asked.many["segment"])
    texts = asked.many.get("filter", [])
    if "price" in asked.once:
        texts = [*texts, f"price:{asked.once['price']}"]
    if texts:
        fields["filters"] = _filters(texts)
    return fields


def facet_asked(query_string: bytes) -> tuple[Request, int]:
    """(the request whose facet is asked for, how many values of it) from the address of one facet's values."""
    asked = parameters(query_string, FACETS)
    field, text = asked.once.pop("field", ""), asked.once.pop("text", "")
    if not field or field == "*":
        raise BadRequest(
            "the values of one field are asked for", where="field", allowed="the name of a field", got=field,
            next="/v1/facets?field=brand&text=nik",
        )  # fmt: skip
    most = request_of({"k": asked.once.pop("k", FACET_VALUES)}).k
    _within("k", most, 1, FACET_VALUES_LIMIT)
    return request_of({**_fields(asked), "facets": (field,), "facet_query": text, "k": 1}), most


def suggestion_asked(query_string: bytes, most: int) -> Request:
    """What was typed so far, and by whom; `most` completions unless the address says how many."""
    return request_of({"k": most, **_fields(parameters(query_string, SUGGEST))})


def request_of(fields: Mapping[str, Any]) -> Request:
    """A Request from texts: "10" becomes 10, "false" becomes False. Raises BadRequest."""
    try:
        return msgspec.convert(fields, Request, strict=False)
    except msgspec.ValidationError as error:
        raise _misread(error, "address") from error


def _filters(texts: Iterable[str]) -> tuple[Filter, ...]:
    """`field:value` (repeated: any of the values) and `field:low..high` (either end may be left out)."""
    values: dict[str, list[str]] = {}
    ranges: list[Filter] = []
    for text in texts:
        name, colon, value = text.partition(":")
        if not (name and colon and value):
            raise BadRequest(
                "a filter cannot be read",
                code="asked.filter",
                where="filter",
                allowed="field:value or field:low..high",
                got=text,
            )
        found = RANGE.fullmatch(value)
        if found and (found[1] or found[2]):
            low, high = (float(end) if end else None for end in found.groups())
            ranges.append(Filter(field=name, low=low, high=high))
        elif name == "price":
            raise BadRequest(
                "a range of prices cannot be read",
                code="asked.prices",
                where="price",
                allowed="10..50, 10.. or ..50",
                got=value,
            )
        else:
            values.setdefault(name, []).append(value)
    return (*(Filter(field=name, values=tuple(chosen)) for name, chosen in values.items()), *ranges)


def decoded(body: bytes, kind: type[T]) -> T:
    """A JSON body as what it should be. Raises BadRequest with the path to what is wrong."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _misread(error, "body") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(
            "the body is not valid JSON", code="asked.json", where="body", allowed="JSON in UTF-8", got=str(error)
        ) from error
    except RecursionError as error:
        raise BadRequest("the body is nested too deeply", where="body", allowed="plain objects and lists") from error


def _misread(error: msgspec.ValidationError, where: str) -> BadRequest:
    return BadRequest(
        "a value is missing, unknown or of the wrong kind",
        code="asked.value",
        where=where,
        allowed="what /openapi.json describes",
        got=str(error),
    )


def bounded(request: Request, settings: Settings) -> Request:
    """The request itself, when all it asks for is within bounds. Raises BadRequest."""
    limit = settings.answer.k_limit
    _within("k", request.k, 1, limit)
    _within("offset", request.offset, 0, OFFSET_LIMIT)
    _within("query (characters)", len(request.query), 0, QUERY_LIMIT)
    _within("where (characters)", len(request.where), 0, WHERE_LIMIT)
    for name in ("user", "session", "language", "place", "facet_query", "sort_by"):
        _within(f"{name} (characters)", len(getattr(request, name)), 0, NAME_LIMIT)
    _within("items", len(request.items), 0, ANCHORS_LIMIT)
    _within("facets", len(request.facets), 0, FACETS_LIMIT)
    _within("filters", len(request.filters), 0, FILTERS_LIMIT)
    _within("segments", len(request.segments), 0, SEGMENTS_LIMIT)
    _within("image (characters)", len(request.image), 0, IMAGE_LIMIT)
    for segment in request.segments:
        _within("segment (characters)", len(segment), 1, NAME_LIMIT)
    for item in request.items:
        _within("id of an item (characters)", len(item), 1, ID_LIMIT)
    for each in request.filters:
        _within("values of a filter", len(each.values), 0, VALUES_LIMIT)
        _within("field of a filter (characters)", len(each.field), 1, NAME_LIMIT)
    return request


def _within(what: str, got: int, low: int, high: int) -> None:
    if not low <= got <= high:
        raise BadRequest(
            "a value is out of range", code="asked.range", where=what, allowed=f"{low:,} to {high:,}", got=str(got)[:40]
        )


def rows_of(body: bytes, name: str) -> list[dict[str, Any]]:
    """A batch: a JSON list of objects, or an object that holds the list under `name`."""
    found: Any = decoded(body, object)
    if isinstance(found, Mapping):
        unknown = sorted(set(found) - {name})
        if unknown:
            raise BadRequest("there is no such key", where="body", allowed=name, got=unknown[0])
        found = found.get(name, [])
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise BadRequest("a batch is a list of objects", where="body", allowed=f'{{"{name}": [{{...}}, ...]}}')
    if len(found) > BATCH_LIMIT:
        raise TooLarge(
            "the batch is too long",
            where="body",
            allowed=f"{BATCH_LIMIT:,} a request",
            got=f"{len(found):,}",
            next="send it in parts",
        )
    return found
