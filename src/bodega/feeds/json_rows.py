"""JSON Lines, and one JSON array (or pretty-printed objects one after the other), as rows.

Lines are decoded by msgspec (about 1.7 M small objects/s a core); an array is cut into its elements in a sliding
window, so that a file of any length needs the memory of its largest element. Wrappers such as
`{"products": [...]}` are looked into. Not for: deeply nested documents; a nested value is handed on as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from bodega.errors import BadFeed
from bodega.feeds._bytes import DAMAGE, broken_off, encoding_of, open_bytes, open_text
from bodega.feeds.feed import Feed, RawRow

WINDOW = 1 << 20
VALUE_LIMIT = 256 << 20
"""Longest single value of an array, in characters; beyond it the file is taken for broken."""
SAMPLED_ROWS = 500
_decode = msgspec.json.Decoder().decode


class JsonFeed(Feed):
    """Objects as rows. A line that is no JSON object is a row with an error; a broken array stops with BadFeed."""

    format = "jsonl"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.encoding = encoding_of(path)
        self._lines = self._is_lines()
        if self.encoding not in ("utf-8", "utf-8-sig"):
            self.notes.append(f"read as {self.encoding.upper()}")
        seen: dict[str, None] = {}
        for row in self.sample(SAMPLED_ROWS):
            seen.update(dict.fromkeys(row.values))
        self.columns = list(seen)
        first = None if seen else next(iter(self), None)
        if first is not None and first.error:
            raise BadFeed(
                "none of the first rows is a JSON object",
                where=f"{path}, line {first.line}",
                allowed="one JSON object a line, or one array of objects",
                got=first.error,
                next="check that the file is JSON, or name its format",
            )

    def __iter__(self) -> Iterator[RawRow]:
        count = 0
        try:
            for row in self._by_line() if self._lines else self._by_value():
                count += 1
                yield row
        except DAMAGE as error:
            raise broken_off(self.path, count, error) from error

    def _is_lines(self) -> bool:
        """One value a line? Not when the file is an array, a wrapper or a pretty-printed object."""
        with open_text(self.path, self.encoding) as file:
            first = next((line.strip() for line in file if line.strip()), "")
        if first.startswith("["):
            return False
        if first.startswith("{") and _unwrapped(first) is not None:
            return False
        return first not in ("{", "{,") and not first.endswith((",", "[", "{"))

    def _by_line(self) -> Iterator[RawRow]:
        for number, line in enumerate(self._raw_lines(), 1):
            if not line.strip():
                continue
            try:
                value = _decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                value = _lenient(line, error)
            yield _row(number, value)

    def _raw_lines(self) -> Iterator[bytes]:
        if self.encoding not in ("utf-8", "utf-8-sig"):
            with open_text(self.path, self.encoding) as text:
                yield from (line.encode("utf-8", "replace") for line in text)
            return
        with open_bytes(self.path) as file:
            for number, line in enumerate(file):
                yield line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line

    def _by_value(self) -> Iterator[RawRow]:
        with open_text(self.path, self.encoding) as file:
            window, count = _Window(file), 0
            inside = window.enter_array()
            for line, value in window.values(inside):
                if isinstance(value, Broken):
                    raise broken_off(self.path, count, ValueError(f"line {line}: {value.why}"))
                inner = None if inside else _records_in(value)
                for element in [value] if inner is None else inner:
                    count += 1
                    yield _row(line, element)


class Broken(msgspec.Struct):
    """Text that is no JSON, with the decoder's words."""

    why: str


class _Window:
    """A piece of text that slides over the file; keeps count of the lines behind it."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file
        self.text = file.read(WINDOW).removeprefix("\ufeff")
        self.at = 0
        self.line, self.counted = 1, 0
        self.decoder = json.JSONDecoder()

    def here(self) -> int:
        """The line of the file where the window is being read."""
        self.line += self.text.count("\n", self.counted, self.at)
        self.counted = self.at
        return self.line

    def more(self, wanted: int = WINDOW) -> bool:
        """Drop what was read, append the next piece; False at the end of the file."""
        piece = self.file.read(wanted)
        self.here()
        self.text, self.at, self.counted = self.text[self.at :] + piece, 0, 0
        return bool(piece)

    def skip(self, characters: str) -> str:
        """Step over white space and `characters`; returns the character after it, "" at the end."""
        while True:
            while self.at < len(self.text) and (self.text[self.at].isspace() or self.text[self.at] in characters):
                self.at += 1
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def enter_array(self) -> bool:
        inside = self.skip("") == "["
        self.at += inside
        return inside

    def values(self, inside: bool) -> Iterator[tuple[int, Any]]:
        """(line, value) for each value in the array, or in the file where the values follow each other."""
        while True:
            after = self.skip(",")
            if after == "" and inside:
                yield self.line, Broken("the array is not closed")
            if after == "" or (after == "]" and inside):
                return
            line = self.here()
            value = self._value()
            yield line, value
            if isinstance(value, Broken):
                return

    def _value(self) -> Any:
        wanted = WINDOW
        while True:
            try:
                value, end = self.decoder.raw_decode(self.text, self.at)
            except (json.JSONDecodeError, RecursionError) as error:
                if len(self.text) - self.at > VALUE_LIMIT or not self.more(wanted):
                    return Broken(str(error))
                wanted *= 2
                continue
            if end == len(self.text) and self.more():  # a number may go on behind the window
                continue
            self.at = end
            return value


def _lenient(line: bytes, error: Exception) -> Any:
    """What Python's own decoder makes of it: it knows NaN and Infinity, which Python's own encoder writes."""
    try:
        return json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return Broken(str(error))


def _row(line: int, value: Any) -> RawRow:
    if isinstance(value, dict):
        return RawRow(line, value)
    if isinstance(value, Broken):
        return RawRow(line, {}, f"not JSON: {value.why}")
    return RawRow(line, {}, f"a JSON object was expected, this is a {type(value).__name__}")


def _unwrapped(text: str) -> list[Any] | None:
    try:
        return _records_in(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _records_in(value: Any) -> list[Any] | None:
    """The records inside a wrapper like {"products": [{...}, ...], "page": 1}: its only list of objects, if it is one.

    A record of its own with such a list (an item with `variants`) has an id or a title beside it and is left alone.
    """
    if not isinstance(value, dict) or {"id", "sku", "objectID", "title", "name", "item_id"} & value.keys():
        return None
    lists = [held for held in value.values() if isinstance(held, list) and held and isinstance(held[0], dict)]
    return lists[0] if len(lists) == 1 else None
