"""Any table: columns mapped by their names, the rest kept as typed attributes, nested `variants` unfolded.

Serves CSV, Parquet and JSON of no particular system, Algolia records and Magento's JSON. A column counts as numeric
(or yes/no) when all sampled values are; so an attribute has one type throughout. Not for: files whose variants refer
to each other over rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bodega.catalog.attributes import Kind, column_kinds, converted
from bodega.catalog.categories import slashed
from bodega.catalog.draft import Draft, is_missing
from bodega.catalog.fields import JOIN, NAMES, mapping_of
from bodega.feeds import RawRow, infer
from bodega.feeds.mapping import plain

_OPTIONS = (
    "color colour size style material pattern flavor flavour scent edition capacity 颜色 尺码 尺寸 规格 款式 口味"
)
OPTIONS = frozenset(_OPTIONS.split())
"""Columns that set variants apart where there is a group."""
BAGS = frozenset({"attributes", "specs", "specifications", "properties", "features", "参数", "属性", "规格参数"})
"""Columns whose value is a dict of attributes."""
VARIANTS = "variants"


class General:
    """A table keyed by column names."""

    def __init__(self, columns: Sequence[str], sample: Sequence[RawRow], told: Mapping[str, str], *, name: str) -> None:
        self.name = name
        found = mapping_of(columns, sample)
        taken = {column for joined in told.values() for column in joined.split(JOIN)}
        self.mapping = {field: column for field, column in found.items() if column not in taken} | dict(told)
        self._category = self.mapping.get("category", "").split(JOIN) if self.mapping.get("category") else []
        self._direct = {field: column for field, column in self.mapping.items() if column and field != "category"}
        used = set(self._direct.values()) | set(self._category)
        rest = [name for name in columns if name not in used and name != VARIANTS and not name.startswith("_")]
        self._kinds: dict[str, Kind] = column_kinds(rest, sample)
        self._used = used
        self.slash = slashed(row.values.get(column) for row in sample for column in self._category[:1])

    def drafts(self, rows: Iterable[RawRow]) -> Iterator[Draft]:
        for row in rows:
            if row.error:
                yield Draft(row.line, row.values, error=row.error)
                continue
            draft = self._draft(row)
            variants = row.values.get(VARIANTS)
            if isinstance(variants, list) and variants and all(isinstance(one, dict) for one in variants):
                yield from _unfolded(draft, variants)
            else:
                yield draft

    def _draft(self, row: RawRow) -> Draft:
        get = row.values.get
        values = {field: get(column) for field, column in self._direct.items()}
        if len(self._category) == 1:
            values["category"] = get(self._category[0])
        elif self._category:
            values["category"] = tuple(level for column in self._category if not is_missing(level := get(column)))
        attributes: dict[str, object] = {}
        for column, value in row.values.items():
            if column in self._used or is_missing(value):
                continue
            if isinstance(value, dict) and plain(column) in BAGS:
                attributes.update(value)
            elif column in self._kinds:
                attributes[column] = converted(value, self._kinds[column])
            elif column != VARIANTS and not column.startswith("_"):  # a column that the sample did not have
                attributes[column] = value
        options: dict[str, object] = {}
        given = values.pop("options", None)
        if isinstance(given, dict):
            options.update(given)
        elif not is_missing(values.get("group")):
            options = {name: value for name, value in attributes.items() if plain(name) in OPTIONS}
            attributes = {name: value for name, value in attributes.items() if name not in options}
        return Draft(row.line, row.values, values, attributes, options)


def _unfolded(draft: Draft, variants: list[dict[str, object]]) -> Iterator[Draft]:
    """One draft a variant: what the variant says itself, the rest from the product; the product's id is the group."""
    columns = list(dict.fromkeys(name for variant in variants for name in variant))
    named = infer(columns, [RawRow(0, variant) for variant in variants], NAMES)
    named = {field: column for field, column in named.items() if plain(column) not in OPTIONS}
    own = set(named.values())
    group = draft.values.get("id")
    if is_missing(group):
        yield draft
        return
    for number, variant in enumerate(variants, 1):
        values = dict(draft.values)
        for field, column in named.items():
            if not is_missing(variant.get(column)):
                values[field] = variant[column]
        if "images" in named and not is_missing(variant.get(named["images"])):
            values["images"] = [variant[named["images"]], *_listed(draft.values.get("images"))]
        if is_missing(variant.get(named.get("id", ""))):
            values["id"] = f"{group}-{number}"
        values["group"] = group
        options: dict[str, object] = {
            name: value for name, value in variant.items() if name not in own and isinstance(value, str | int)
        }
        yield Draft(draft.line, variant | {"group": group}, values, dict(draft.attributes), options)


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if is_missing(value) else [value]
