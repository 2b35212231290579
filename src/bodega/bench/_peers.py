"""Other engines on the same titles and queries: SQLite FTS5, bm25s, PostgreSQL. The best 200 of any word, with ids.

Each is asked as its documentation asks: FTS5 by bm25(), bm25s with its numba backend where numba is installed (else
numpy), PostgreSQL by ts_rank over a GIN index (a server of its own on a socket in a temporary folder, its own timing,
so that no client is counted). A peer that is not installed is left out and named.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bodega.understanding import language

TOP = 200
NOBODY = "nobody"
_WORD = re.compile(r"\w+")


def sqlite_fts5(titles: Sequence[str], queries: Sequence[str]) -> list[float]:
    """Milliseconds of each query."""
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE VIRTUAL TABLE item USING fts5(title, tokenize = 'porter unicode61')")
        database.executemany("INSERT INTO item(rowid, title) VALUES (?, ?)", enumerate(titles))
        sql = "SELECT rowid FROM item WHERE item MATCH ? ORDER BY bm25(item) LIMIT 200"
        return timed(lambda query: database.execute(sql, (" OR ".join(_quoted(query)),)).fetchall(), queries)


def _quoted(query: str) -> list[str]:
    return [f'"{word}"' for word in _WORD.findall(query)]


def bm25s_index(titles: Sequence[str], queries: Sequence[str]) -> list[float]:
    """Milliseconds of each query; tokens are ours, cut before the clock starts."""
    import bm25s

    vocabulary: dict[str, int] = {}
    ids = [[vocabulary.setdefault(token, len(vocabulary)) for token in language.tokens(title)] for title in titles]
    index = bm25s.BM25()
    index.index((ids, vocabulary), show_progress=False)
    cut = {query: [token for token in language.tokens(query) if token in vocabulary] for query in queries}

    def ask(query: str) -> object:
        scores = index.get_scores(cut[query])
        best = np.argpartition(scores, -TOP)[-TOP:]
        return best[np.argsort(-scores[best])]

    return timed(ask, [query for query in queries if cut[query]])


def postgres_binaries() -> Path | None:
    """The folder of `initdb` and `postgres`, newest first, or None."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return installed[-1].parent if installed else None


def postgres_full_text(titles: Sequence[str], queries: Sequence[str]) -> list[float]:
    """Milliseconds that the server itself counts for each query. Needs `postgres_binaries`."""
    binaries = postgres_binaries()
    assert binaries is not None
    with _server(binaries) as folder:
        (folder / "titles.csv").write_text(
            "".join(f'{row},"{title.replace(chr(34), "")}"\n' for row, title in enumerate(titles)), "utf-8"
        )
        _psql(
            binaries,
            folder,
            [
                "CREATE TABLE item (id int PRIMARY KEY, title text)",
                rf"\copy item FROM '{folder / 'titles.csv'}' CSV",
                "ALTER TABLE item ADD words tsvector",
                "UPDATE item SET words = to_tsvector('english', title)",
                "CREATE INDEX ON item USING gin (words)",
                "VACUUM ANALYZE item",
            ],
        )
        asked = [" | ".join(_WORD.findall(query)) for query in queries]
        told = _psql(
            binaries,
            folder,
            [
                f"EXPLAIN (ANALYZE, TIMING OFF) SELECT id FROM item, to_tsquery('english', '{query}') q "  # noqa: S608
                f"WHERE words @@ q ORDER BY ts_rank(words, q) DESC LIMIT {TOP}"
                for query in [*asked[:5], *asked]
            ],
        )
    spent = [float(found) for found in re.findall(r"Execution Time: ([\d.]+) ms", told)]
    return spent[5:]


@contextmanager
def _server(binaries: Path) -> Iterator[Path]:
    """A PostgreSQL of its own in a temporary folder; it refuses to run as root and then runs as nobody."""
    folder = Path(tempfile.mkdtemp(prefix="bodega-pg-"))
    user = NOBODY if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    data, log = folder / "data", folder / "log"

    def run(*words: str) -> None:
        subprocess.run(words, check=True, capture_output=True, user=user, cwd=folder)  # noqa: S603 - our own words

    try:
        run(str(binaries / "initdb"), "-D", str(data), "-U", "bench", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-k {folder} -c listen_addresses='' -c shared_buffers=1GB -c max_parallel_workers_per_gather=0"
        run(str(binaries / "pg_ctl"), "-D", str(data), "-l", str(log), "-o", options, "-w", "start")
        try:
            yield folder
        finally:
            run(str(binaries / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _psql(binaries: Path, folder: Path, statements: Sequence[str]) -> str:
    lines = "\n".join(each if each.startswith("\\") else f"{each};" for each in statements)
    done = subprocess.run(  # noqa: S603 - our own statements, our own server
        [str(binaries / "psql"), "-h", str(folder), "-U", "bench", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-q"],
        input=lines, text=True, check=True, capture_output=True,
    )  # fmt: skip
    return done.stdout


def timed(ask: Callable[[str], object], queries: Sequence[str]) -> list[float]:
    """Milliseconds of each query, after a short warm-up."""
    for query in queries[:10]:
        ask(query)
    spent = []
    for query in queries:
        before = time.perf_counter()
        ask(query)
        spent.append((time.perf_counter() - before) * 1_000)
    return spent
