"""What a rule may say: good ones survive every border unchanged, bad ones are refused with what and where."""

from __future__ import annotations

import msgspec
import pytest

from bodega.errors import BadRequest
from bodega.schema import (
    Boost,
    Filter,
    Hide,
    Phrase,
    Pin,
    Redirect,
    Replace,
    Rule,
    Segment,
    SegmentKind,
    ShowBanner,
    Synonyms,
    When,
    checked_rule,
    read_rule,
    rule_json,
)
from bodega.schema.rules import PINS_LIMIT, SIZE_LIMIT

FULL = """
{"id": "summer.2027", "name": "夏季 & <b>Summer</b>", "priority": -3, "enabled": false, "note": "line one\\nline two",
 "author": "ann",
 "when": {"queries": [{"text": "TV"}, {"text": "电视", "match": "contains"}, {"text": "smart", "match": "starts"}],
          "categories": ["Home > TV"], "below": false, "places": ["search", "category"],
          "segments": [{"kind": "new"}, {"kind": "likes", "field": "brand", "value": "Acme", "at_least": 3},
                       {"kind": "named", "name": "vip"}],
          "languages": ["en", "zh"], "start": "2027-06-01T00:00:00+02:00", "end": "2027-07-01T00:00:00Z",
          "weekdays": ["sat", "sun"]},
 "then": [{"do": "pin", "item": "a", "position": 1}, {"do": "boost", "items": ["b"], "factor": 3},
          {"do": "bury", "filters": [{"field": "price", "low": 500}], "factor": 2},
          {"do": "hide", "filters": [{"field": "brand", "values": ["Old"]}]},
          {"do": "redirect", "url": "/tv?from=search"}, {"do": "banner", "text": "<i>Sale</i>", "url": "https://a.b/c"},
          {"do": "replace", "words": "tele", "by": "tv"}, {"do": "synonyms", "words": ["tv", "television"]},
          {"do": "filter", "filters": [{"field": "price", "high": 900}]}]}
"""


def only(action) -> Rule:
    return Rule(id="r", then=(action,))


def test_a_rule_with_everything_is_the_same_after_every_border():
    rule = read_rule(FULL)
    assert len(rule.then) == 9
    assert read_rule(rule_json(rule)) == rule
    assert rule_json(read_rule(rule_json(rule))) == rule_json(rule)
    assert rule.name == "夏季 & <b>Summer</b>", "text is data: nothing is escaped or stripped here"


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com", "http://example.com:8080/a?b=c#d", "HTTPS://EXAMPLE.COM/x", "/sale", "/", "/a//b?x=/y",
        "https://例子.中国/路径",
    ],
)  # fmt: skip
def test_addresses_of_pages_are_taken(url):
    assert checked_rule(only(Redirect(url))).then == (Redirect(url),)
    assert checked_rule(only(ShowBanner("text", url=url, image=url)))


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "java\tscript:alert(1)",
        "\x01javascript:alert(1)", "data:text/html,<script>", "vbscript:x", "file:///etc/passwd", "ftp://a.b",
        "//evil.example", "/\\evil.example", "\\\\evil", "https:evil", "https://", "http:///x", "sale", "",
        "https://user:pw@a.b", "https://a.b/\nSet-Cookie: x", "/a b", "https://a.b/\"onload=", "/<script>",
        "https://[::1", "https://a.b:99999/", "blob:https://a.b/x", "mailto:a@b.c", "/\u202ecod.exe",
    ],
)  # fmt: skip
def test_addresses_that_a_browser_might_run_or_misread_are_refused(url):
    with pytest.raises(BadRequest):
        checked_rule(only(Redirect(url)))
    if url:
        with pytest.raises(BadRequest):
            checked_rule(only(ShowBanner("text", url=url)))
        with pytest.raises(BadRequest):
            checked_rule(only(ShowBanner("text", image=url)))


@pytest.mark.parametrize("mark", ["\x00", "\x1b[31m", "\r\n", "\x7f", "\x85", "\u202e", "\u2066"])
def test_control_characters_are_refused_wherever_they_stand(mark):
    for rule in (
        only(ShowBanner(f"a{mark}b")),
        only(Pin(f"a{mark}b", 1)),
        only(Hide(filters=(Filter(field="brand", values=(f"a{mark}",)),))),
        Rule(id="r", name=f"a{mark}", then=(Pin("a", 1),)),
        Rule(id="r", when=When(queries=(Phrase(f"tv{mark}"),)), then=(Pin("a", 1),)),
    ):
        with pytest.raises(BadRequest, match="control character"):
            checked_rule(rule)


def test_a_note_may_have_lines_but_no_other_control_characters():
    assert checked_rule(Rule(note="one\ntwo\tthree", then=(Pin("a", 1),))).note == "one\ntwo\tthree"
    with pytest.raises(BadRequest, match="control character"):
        checked_rule(Rule(note="bell\x07", then=(Pin("a", 1),)))


def test_a_text_that_is_no_unicode_is_refused():
    with pytest.raises(BadRequest):
        checked_rule(only(ShowBanner("\ud800")))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"then": []}', "then"),
        ("{}", "then"),
        ('{"then": [{"do": "explode"}]}', "explode"),
        ('{"then": [{"do": "pin", "item": "a", "position": 0}]}', "position"),
        ('{"then": [{"do": "pin", "item": "a", "position": 1, "colour": "red"}]}', "colour"),
        ('{"then": [{"do": "pin", "item": "a", "position": 1}], "wen": {}}', "wen"),
        ('{"then": [{"do": "boost", "items": ["a"], "factor": 1}]}', "factor"),
        ('{"then": [{"do": "boost", "items": ["a"], "factor": 101}]}', "factor"),
        ('{"then": [{"do": "boost", "items": ["a"], "factor": NaN}]}', "JSON"),
        ('{"then": [{"do": "boost"}]}', "names nothing"),
        ('{"then": [{"do": "hide", "filters": [{"field": "brand"}]}]}', "values or a range"),
        ('{"then": [{"do": "filter", "filters": []}]}', "names nothing"),
        ('{"then": [{"do": "banner"}]}', "banner"),
        ('{"then": [{"do": "replace", "by": " "}]}', "words"),
        ('{"then": [{"do": "synonyms", "words": ["tv"]}]}', "words"),
        ('{"then": [{"do": "synonyms", "words": ["tv", "!!"]}]}', "no word"),
        ('{"id": "a b", "then": [{"do": "pin", "item": "a", "position": 1}]}', "id"),
        ('{"id": "audit", "then": [{"do": "pin", "item": "a", "position": 1}]}', "address of the API"),
        ('{"id": "../x", "then": [{"do": "pin", "item": "a", "position": 1}]}', "id"),
        ('{"when": {"queries": [{"text": "..."}]}, "then": [{"do": "pin", "item": "a", "position": 1}]}', "no word"),
        ('{"when": {"start": "2027-01-01T00:00:00"}, "then": [{"do": "pin", "item": "a", "position": 1}]}', "start"),
        ('{"when": {"weekdays": ["someday"]}, "then": [{"do": "pin", "item": "a", "position": 1}]}', "someday"),
        ('{"when": {"places": ["<b>"]}, "then": [{"do": "pin", "item": "a", "position": 1}]}', "place"),
        ('{"when": {"segments": [{"kind": "likes"}]}, "then": [{"do": "pin", "item": "a", "position": 1}]}', "likes"),
        ('{"when": {"segments": [{"kind": "new", "name": "x"}]}, "then": [{"do": "pin", "item": "a", "position": 1}]}',
         "new"),
        ("not json", "JSON"),
        ("[" * 100_000, "JSON"),
        ('{"then": ' * 5_000, "JSON"),
        ("\xff", "JSON"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_what_is_wrong(text, said):
    with pytest.raises(BadRequest) as caught:
        read_rule(text)
    assert said in str(caught.value)


def test_two_pins_on_one_position_or_of_one_item_are_a_mistake():
    with pytest.raises(BadRequest, match="position"):
        checked_rule(Rule(then=(Pin("a", 1), Pin("b", 1))))
    with pytest.raises(BadRequest, match="item"):
        checked_rule(Rule(then=(Pin("a", 1), Pin("a", 2))))


def test_a_schedule_runs_forward():
    from datetime import UTC, datetime

    when = When(start=datetime(2027, 1, 2, tzinfo=UTC), end=datetime(2027, 1, 2, tzinfo=UTC))
    with pytest.raises(BadRequest, match="ends before it starts"):
        checked_rule(Rule(when=when, then=(Pin("a", 1),)))


def test_everything_is_bounded():
    many = tuple(Pin(f"i{n}", n + 1) for n in range(PINS_LIMIT + 1))
    with pytest.raises(BadRequest, match="too many pins"):
        checked_rule(Rule(then=many))
    assert checked_rule(Rule(then=many[:-1]))
    with pytest.raises(BadRequest):
        checked_rule(only(Hide(items=tuple(f"i{n}" for n in range(1_001)))))
    long = tuple(("x" * 1_000) + str(n) for n in range(SIZE_LIMIT // 1_000 + 1))
    with pytest.raises(BadRequest, match="too large"):
        checked_rule(only(Hide(items=long)))
    with pytest.raises(BadRequest):
        checked_rule(Rule(name="x" * 201, then=(Pin("a", 1),)))
    with pytest.raises(BadRequest):
        checked_rule(only(Redirect("/" + "x" * 3_000)))


def test_what_python_code_builds_is_checked_like_what_json_says():
    with pytest.raises(BadRequest):
        checked_rule(only(Pin("a", -1)))
    with pytest.raises(BadRequest):
        checked_rule(only(Boost(items=("a",), factor=float("nan"))))
    with pytest.raises(BadRequest):
        checked_rule(msgspec.structs.replace(only(Pin("a", 1)), priority="high"))


def test_segments_have_keys_by_which_facts_and_rules_meet():
    kinds = (
        Segment(SegmentKind.NEW),
        Segment(SegmentKind.RETURNING),
        Segment(SegmentKind.NAMED, name="vip"),
        Segment(SegmentKind.LIKES, field="brand", value="Acme"),
    )
    assert len({segment.key for segment in kinds}) == 4
    assert checked_rule(Rule(when=When(segments=kinds), then=(Replace("tv"), Synonyms(("a", "b")))))
