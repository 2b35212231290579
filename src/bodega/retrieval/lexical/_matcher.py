"""Which items hold these words at all? tantivy's inverted index, fed with our own tokens and asked for candidates only.

Idea: the words are cut, stemmed and corrected before they come here, so tantivy sees plain terms in two fields (`all`
with every field, and `title` to count which words keep company) and never parses a query: a shopper cannot inject its
query language.
tantivy's own BM25 (k1 1.2, b .75, hard-coded) is poor for short titles; it only decides *which* matches are looked at
closely (`_forward` scores them again).

tantivy names segment files by random numbers. After the build they are renamed by the digest of their content and
`meta.json` is rewritten in one spelling, so equal catalogs give equal bytes.

Cost: 92k supermarket items build in about 1 s, with one thread; segments of 200,000 items, at most six.
Not for: final scores, spelling, ids of items (the caller works with row numbers).
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path

import numpy as np
import tantivy
from numpy.typing import NDArray

SEGMENT = 200_000
"""Items a segment, always written by a writer of its own: where tantivy cuts by itself differs from run to run."""
MOST_SEGMENTS = 6
"""From eight equal segments on tantivy merges them, in an order that differs from run to run."""
HEAP = 3_000_000_000
"""Bytes tantivy may collect before it cuts (an item takes about 1,000). A limit, not an allocation."""
TITLE_AGAIN = 2
"""So many more times the words of a title are written into `all`: they count more, and one list is read instead of two
(a third of the time; the best 200 of 1,050 generated queries stay the same to .0001 MRR)."""

Match = tuple[NDArray[np.int32], NDArray[np.float32], int]
"""(rows best first, tantivy's score, how many match in all)."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """An open index of terms. `groups` below are lists of alternatives, one list a query word; an alternative is one
    term, or several that must all stand in the item."""

    index: tantivy.Index
    searcher: tantivy.Searcher

    @classmethod
    def build(cls, folder: Path, rows: Iterable[tuple[str, str]], count: int) -> Matcher:
        """Write the index of (title terms, all terms) of `count` items, both joined with blanks, into `folder`."""
        schema = tantivy.SchemaBuilder()
        for name in ("title", "all"):
            schema.add_text_field(name, tokenizer_name="whitespace", index_option="freq")
        schema.add_integer_field("row", fast=True)
        index = tantivy.Index(schema.build(), path=str(folder))
        _register(index)
        size = max(SEGMENT, -(-count // MOST_SEGMENTS))
        items = iter(rows)
        for start in range(0, max(1, count), size):
            writer = index.writer(heap_size=HEAP, num_threads=1)
            for row, (title, everything) in enumerate(islice(items, size), start):
                whole = " ".join([everything, *[title] * TITLE_AGAIN])
                writer.add_document(tantivy.Document(title=title, all=whole, row=row))
            writer.commit()
            writer.wait_merging_threads()
        del writer, index
        settle(folder)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> Matcher:
        """Memory-map an index; nothing is written to `folder` (it may be read-only, and shared by many processes)."""
        with tempfile.TemporaryDirectory(prefix="bodega-lexical-", ignore_cleanup_errors=True) as mirror:
            # tantivy takes a lock file wherever it opens; all files are mapped before the mirror goes away
            for path in folder.resolve().iterdir():
                if not path.name.endswith(".lock"):
                    _mirror(path, Path(mirror) / path.name)
            index = tantivy.Index.open(mirror)
            _register(index)
            index.config_reader(reload_policy="manual")
            return cls(index, index.searcher())

    def find(
        self, groups: Sequence[Sequence[tuple[str, ...]]], at_least: int, limit: int, *, count: bool = True
    ) -> Match:
        """Items that match at least `at_least` of the groups, best `limit` by tantivy's score.

        Without `count` (a third faster among a million) the number of matches is only known up to `limit`.
        """
        if not groups or limit < 1:
            return np.empty(0, np.int32), np.empty(0, np.float32), 0
        should = [(tantivy.Occur.Should, self._any_of(alternatives)) for alternatives in groups]
        query = tantivy.Query.boolean_query(should, minimum_number_should_match=max(1, at_least))
        # limit=0 would panic in tantivy, and a limit far above the number of documents reserves memory for it
        result = self.searcher.search(query, limit=max(1, min(limit, self.searcher.num_docs)), count=count)
        hits = result.hits
        if not hits:
            return np.empty(0, np.int32), np.empty(0, np.float32), 0
        found, addresses = zip(*hits, strict=True)
        rows = np.array(self.searcher.fast_field_values("row", list(addresses)), np.int32)
        scores = np.array(found, np.float32)
        total = int(result.count) if count else len(hits)  # type: ignore[attr-defined]  # missing from its stubs only
        return rows, scores, total

    def in_titles(self, terms: Sequence[str]) -> NDArray[np.float64]:
        """In how many titles each term stands."""
        return np.array([self.searcher.doc_freq("title", term) for term in terms], np.float64)

    def in_one_title(self, term: str, other: str) -> int:
        """In how many titles both terms stand. A constant score makes it 8 microseconds instead of 40."""
        schema, query = self.index.schema, tantivy.Query
        both = [(tantivy.Occur.Must, query.term_query(schema, "title", each, "basic")) for each in (term, other)]
        found = self.searcher.search(query.const_score_query(query.boolean_query(both), 1.0), limit=1, count=True)
        return int(found.count)  # type: ignore[attr-defined]  # missing from its stubs only

    def _any_of(self, alternatives: Sequence[tuple[str, ...]]) -> tantivy.Query:
        query = tantivy.Query
        parts = []
        for terms in alternatives:
            if len(terms) > 1:
                parts.append(
                    (
                        tantivy.Occur.Should,
                        query.boolean_query([(tantivy.Occur.Must, self._plain(term)) for term in terms]),
                    )
                )
                continue
            parts.append((tantivy.Occur.Should, self._plain(terms[0])))
        return parts[0][1] if len(parts) == 1 else query.boolean_query(parts)

    def _plain(self, term: str) -> tantivy.Query:
        return tantivy.Query.term_query(self.index.schema, "all", term, "freq")


def settle(folder: Path) -> None:
    """Name the segments by their content, spell `meta.json` and `.managed.json` one way, remove the locks."""
    meta = json.loads((folder / "meta.json").read_text("utf-8"))
    settled = []
    for segment in meta["segments"]:
        old = segment["segment_id"].replace("-", "")
        files = sorted(folder.glob(f"{old}.*"))
        digest = sha256(b"".join(sha256(path.read_bytes()).digest() for path in files)).hexdigest()[:32]
        for path in files:
            path.rename(folder / path.name.replace(old, digest))
        parts = (digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:])
        settled.append({**segment, "segment_id": "-".join(parts)})
    meta["segments"] = sorted(settled, key=lambda segment: str(segment["segment_id"]))
    (folder / "meta.json").write_text(json.dumps(meta, indent=2, sort_keys=True), "utf-8")
    for path in folder.glob(".tantivy-*.lock"):
        path.unlink()
    managed = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    (folder / ".managed.json").write_text(json.dumps(managed), "utf-8")


def _mirror(path: Path, place: Path) -> None:
    try:
        place.symlink_to(path)
    except OSError:  # no symbolic links here (Windows without the privilege)
        shutil.copyfile(path, place)


def _register(index: tantivy.Index) -> None:
    """tantivy does not know its own whitespace tokenizer by name, and forgets it when an index is opened again."""
    index.register_tokenizer("whitespace", tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build())
