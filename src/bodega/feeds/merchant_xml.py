"""Google Merchant feeds in XML (RSS 2.0 `<item>` or Atom `<entry>`), as rows.

Names lose their namespace, so `<g:id>` reads as `id`, the same name that the TSV export uses. A tag that repeats gives
a list, a tag with children a dict. Every record is released after reading. Cost: 65 k small records/s, one record in
memory. Not for: other XML; entities and external references are refused (a 1 kB file can unfold to gigabytes).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from bodega.errors import BadFeed
from bodega.feeds._bytes import DAMAGE, broken_off, open_bytes
from bodega.feeds.feed import Feed, RawRow

RECORDS = frozenset({"item", "entry"})


class MerchantFeed(Feed):
    """One row a product; `line` is the number of the record."""

    format = "xml"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        seen: dict[str, None] = {}
        for row in self.sample(100):
            seen.update(dict.fromkeys(row.values))
        self.columns = list(seen)
        if not self.columns:
            raise BadFeed(
                "the XML holds no products",
                where=str(path),
                allowed="Google Merchant RSS (<item>) or Atom (<entry>)",
                next="export the feed in one of these, or as CSV",
            )

    def __iter__(self) -> Iterator[RawRow]:
        count = 0
        try:
            with open_bytes(self.path) as file:
                parents: list[Element] = []
                for what, element in iterparse(file, events=("start", "end"), forbid_dtd=False):
                    if what == "start":
                        parents.append(element)
                        continue
                    parents.pop()
                    if _local(element) in RECORDS and len(parents) <= 2:
                        count += 1
                        yield RawRow(count, _fields(element))
                        element.clear()
                        if parents:
                            parents[-1].clear()
        except DefusedXmlException as error:
            raise BadFeed(
                "the XML defines entities or refers to other files, which is refused",
                where=str(self.path),
                allowed="plain XML without <!ENTITY>",
                got=repr(error),
                next="remove the DOCTYPE from the file",
            ) from error
        except (ParseError, LookupError, ValueError, *DAMAGE) as error:  # LookupError, ValueError: its encoding
            raise broken_off(self.path, count, error) from error


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _fields(record: Any) -> dict[str, object]:
    values: dict[str, object] = {}
    for child in record:
        name, value = _local(child), _value(child)
        if name not in values:
            values[name] = value
            continue
        before = values[name]
        values[name] = [*before, value] if isinstance(before, list) else [before, value]
    return values


def _value(element: Any) -> object:
    if len(element):
        return _fields(element)
    text = (element.text or "").strip()
    return text or element.get("href", "")
