"""Errors teach: every class says what, where, allowed, got, next and an id, in words and as data."""

from __future__ import annotations

import inspect
import re

import pytest

from bodega import errors
from bodega.errors import BadRequest, BodegaError, MissingExtra

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, BodegaError)]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_tells_the_same_facts_in_words_and_as_data(kind: type[BodegaError]) -> None:
    error = kind("it broke", where="a.csv", allowed="numbers", got=3, next="mend it")
    facts = error.as_dict()
    assert facts.pop("id") == error.id
    assert facts.pop("reason", "broken") == "broken"  # pictures have a code beside the words
    assert facts == {
        "type": kind.__name__, "what": "it broke", "where": "a.csv", "allowed": "numbers", "got": "3",
        "next": "mend it",
    }  # fmt: skip
    text = str(error)
    assert text.startswith("it broke.\n")
    assert all(part in text for part in ("where: a.csv", "allowed: numbers", "got: 3", "next: mend it", error.id))


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^    ([ |`-]*)([A-Z]\w+)", line)
        if match:
            depth, name = len(match[1]), match[2]
            path = [entry for entry in path if entry[0] < depth]
            drawn[name] = path[-1][1] if path else "Exception"
            path.append((depth, name))
    assert drawn == {kind.__name__: kind.__bases__[0].__name__ for kind in ALL}


def test_ids_differ_so_that_reports_can_be_traced() -> None:
    assert len({BadRequest("x").id for _ in range(100)}) == 100


def test_long_input_is_cut_and_its_length_told() -> None:
    error = BadRequest("too long", got="x" * 5_000)
    assert len(error.got) < 300
    assert "5,000 characters" in error.got


def test_facts_that_are_not_given_are_not_shown() -> None:
    error = BadRequest("no.")
    assert str(error) == f"no.\n  id: {error.id}"
    assert BadRequest("x", got=0).got == "0", "zero is a fact"


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_status_is_an_error_of_http(kind: type[BodegaError]) -> None:
    assert 400 <= kind.status < 600
    assert issubclass(kind, errors.UsageError | errors.AccessError | errors.LimitError) or kind.status >= 500


def test_a_missing_extra_names_the_command() -> None:
    error = MissingExtra.named("neural", needed_for="the Transformer")
    assert error.next == "pip install 'bodega[neural]'"
    assert "the Transformer" in str(error)
