"""Which kind of file is this? `open_feed` looks at the first bytes, then at the name.

Contents win over names: a gzipped file or a Parquet file is recognised whatever it is called. Each reader is imported
when it is needed, because DuckDB alone takes longer to import than the rest together.
"""

from __future__ import annotations

from pathlib import Path

from bodega import failpoints
from bodega.errors import BadFeed
from bodega.feeds._bytes import first_bytes, first_character, is_gzip
from bodega.feeds.feed import Feed

FORMATS = ("csv", "tsv", "jsonl", "parquet", "xml")
SUFFIXES = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xml": "xml",
    ".rss": "xml",
    ".atom": "xml",
}
START = {"<": "xml", "{": "jsonl", "[": "jsonl"}
OFFICE = {b"PK\x03\x04": "a zip archive or an Excel workbook", b"\xd0\xcf\x11\xe0": "an old Excel workbook"}


def open_feed(path: Path | str, *, format: str | None = None) -> Feed:  # noqa: A002 - the word the caller uses
    """The feed in this file. `format` is one of `FORMATS`; without it the file's first bytes and its name decide.

    Raises BadFeed for a file that is missing, empty or not what it claims to be.
    """
    path = Path(path)
    if failpoints.ON:
        failpoints.reach("feeds.open")
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise BadFeed(f"the feed {what}", where=str(path), allowed="a readable file", next="check the path")
    head = first_bytes(path)
    if not head.strip():
        raise BadFeed(
            "the feed is empty",
            where=str(path),
            allowed="at least one row",
            got=f"{path.stat().st_size} bytes",
            next="export the file again",
        )
    kind = _checked(format, path) if format else _recognised(path, head)
    return _reader(kind, path)


def _checked(kind: str, path: Path) -> str:
    if kind not in FORMATS:
        raise BadFeed(
            "this format is not one that feeds can be read in",
            where=str(path),
            allowed=", ".join(FORMATS),
            got=kind,
            next="leave the format out to have it recognised",
        )
    return kind


def _recognised(path: Path, head: bytes) -> str:
    """The format from the first (unpacked) bytes; where they leave it open, from the name."""
    for magic, name in OFFICE.items():
        if head.startswith(magic):
            raise BadFeed(
                f"the feed is {name}",
                where=str(path),
                allowed=", ".join(FORMATS),
                next="save it as CSV (UTF-8) and import that file",
            )
    if head.startswith(b"PAR1"):
        return "parquet"
    start = first_character(head)
    if start in START:
        return START[start]
    named = SUFFIXES.get(Path(path.name.lower().removesuffix(".gz")).suffix, "csv")
    return "csv" if named in ("xml", "parquet") else named  # it does not start like what its name promises


def _reader(kind: str, path: Path) -> Feed:
    if kind == "parquet":
        if is_gzip(path):
            raise BadFeed(
                "a gzipped Parquet file cannot be read in place",
                where=str(path),
                allowed="plain Parquet (it is compressed inside)",
                next=f"gunzip {path.name}",
            )
        from bodega.feeds.parquet import ParquetFeed

        return ParquetFeed(path)
    if kind == "xml":
        from bodega.feeds.merchant_xml import MerchantFeed

        return MerchantFeed(path)
    if kind == "jsonl":
        from bodega.feeds.json_rows import JsonFeed

        return JsonFeed(path)
    from bodega.feeds.delimited import DelimitedFeed

    return DelimitedFeed(path, tabs=kind == "tsv")
