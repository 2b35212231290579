"""From bytes to a Request: what is understood, and what is refused rather than guessed."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodega.errors import BadRequest, TooLarge
from bodega.schema import Filter, Request, Sort
from bodega.service import asking
from bodega.settings import Settings


def test_every_parameter_finds_its_field():
    request = asking.from_parameters(
        b"q=trail%20shoe&user=u&session=s&k=5&offset=10&language=zh&personal=false&sort=price_up"
        b"&filter=brand:Nike&filter=brand:On&filter=weight:..300&price=10..50.5&facets=brand,price&facets=color",
        asking.SEARCH,
    )
    assert request == Request(
        query="trail shoe",
        user="u",
        session="s",
        k=5,
        offset=10,
        language="zh",
        personal=False,
        sort=Sort.PRICE_UP,
        filters=(
            Filter(field="brand", values=("Nike", "On")),
            Filter(field="weight", high=300.0),
            Filter(field="price", low=10.0, high=50.5),
        ),
        facets=("brand", "price", "color"),
    )


def test_what_search_understands_and_rules_ask_for_has_parameters():
    request = asking.from_parameters(
        b"q=red&verbatim=true&where=price+%3C+5&sort_by=-rating&facet_query=ni&segment=vip&segment=a,b", asking.SEARCH
    )
    assert request == Request(
        query="red", verbatim=True, where="price < 5", sort_by="-rating", facet_query="ni", segments=("vip", "a,b")
    )
    assert asking.from_parameters(b"segment=vip", asking.AROUND).segments == ("vip",)
    asked, _ = asking.facet_asked(b"field=brand&q=red&verbatim=true&segment=vip")
    assert (asked.verbatim, asked.segments) == (True, ("vip",))


def test_completions_are_asked_for_somebody():
    asked = asking.suggestion_asked(b"q=re&user=u&session=s&personal=false", 8)
    assert asked == Request(query="re", user="u", session="s", personal=False, k=8)
    assert asking.suggestion_asked(b"q=re&k=3", 8).k == 3
    with pytest.raises(BadRequest):
        asking.suggestion_asked(b"q=re&filter=a:b", 8)


def test_anchors_are_repeated_because_ids_may_hold_commas():
    assert asking.from_parameters(b"item=a,b&item=%F0%9F%98%80", asking.RECOMMEND).items == ("a,b", "😀")


def test_a_filter_value_may_hold_colons_and_plus_signs():
    request = asking.from_parameters(b"filter=tags:size:10%2B+wide", asking.SEARCH)
    assert request.filters == (Filter(field="tags", values=("size:10+ wide",)),)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (b"qq=1", "qq"),
        (b"k=1&k=2", "twice"),
        (b"k=ten", "int"),
        (b"k=1.5", "int"),
        (b"k=NaN", "int"),
        (b"personal=maybe", "bool"),
        (b"verbatim=perhaps", "bool"),
        (b"verbatim=true&verbatim=true", "twice"),
        (b"sort=best", "sort"),
        (b"filter=brand", "filter"),
        (b"filter=:x", "filter"),
        (b"price=cheap", "price"),
        (b"price=1..2&price=3..4", "twice"),
        (b"q=%ff", "query string"),
        (b"q=\xff", "query string"),
        (b"&".join(b"filter=a:b" for _ in range(300)), "query string"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_its_name(query, names):
    with pytest.raises(BadRequest) as refused:
        asking.from_parameters(query, asking.SEARCH)
    assert names in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"k": 0}, "k"),
        ({"k": -1}, "k"),
        ({"k": 1001}, "k"),
        ({"k": 10**30}, "k"),
        ({"offset": -1}, "offset"),
        ({"offset": 2**63}, "offset"),
        ({"query": "x" * 2001}, "query"),
        ({"where": "x" * 4001}, "where"),
        ({"segments": ("s",) * 51}, "segments"),
        ({"segments": ("",)}, "segment"),
        ({"user": "u" * 257}, "user"),
        ({"items": tuple("abc" * 100)}, "items"),
        ({"items": ("",)}, "id"),
        ({"facets": tuple("f" * 21)}, "facets"),
        ({"filters": tuple(Filter(field="a") for _ in range(51))}, "filters"),
        ({"filters": (Filter(field="a", values=tuple(map(str, range(201)))),)}, "values"),
        ({"filters": (Filter(field=""),)}, "field"),
    ],
)
def test_bounds(fields, what):
    with pytest.raises(BadRequest) as refused:
        asking.bounded(msgspec.structs.replace(Request(), **fields), Settings())
    assert what in refused.value.where


def test_a_request_within_bounds_passes_unchanged():
    request = Request(k=1000, offset=10_000, query="x" * 2000)
    assert asking.bounded(request, Settings()) is request


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"query": "\\ud800"}',
        b'{"k": NaN}',
        b'{"k": Infinity}',
        b'{"k": 1.5}',
        b'{"k": "1"}',
        b'{"nope": 1}',
        b"[" * 200_000,
        b'{"filters":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"null",
    ],
)
def test_a_body_that_is_not_a_request_is_refused(body):
    with pytest.raises(BadRequest):
        asking.decoded(body, Request)


def test_a_batch_is_a_list_or_an_object_with_one():
    assert asking.rows_of(b'[{"id": "1"}]', "events") == [{"id": "1"}]
    assert asking.rows_of(b'{"events": [{"id": "1"}]}', "events") == [{"id": "1"}]
    for wrong in (b'{"event": []}', b'"x"', b"[1]", b'{"events": {}}', b'{"events": [], "x": 1}', b"[" * 100_000):
        with pytest.raises(BadRequest):
            asking.rows_of(wrong, "events")
    with pytest.raises(TooLarge):
        asking.rows_of(msgspec.json.encode([{}] * 1001), "events")


@given(st.binary(max_size=200))
def test_no_bytes_make_anything_but_a_request_or_a_teaching_error(body):
    for read in (
        lambda: asking.decoded(body, Request),
        lambda: asking.rows_of(body, "events"),
        lambda: asking.from_parameters(body, asking.SEARCH),
    ):
        with contextlib.suppress(BadRequest, TooLarge):  # anything else fails the test
            assert read() is not None
