"""Which libraries draw charts and tables? Static files inside installed packages, pinned by SHA-256.

Only the files are read: the packages that carry them are found, never imported. Other bytes than the tested ones are
not served: a browser would run them with an admin's rights. Cost: reading and squeezing 1.6 MB once, .2 s, when the
first chart is asked for. Not for: our own files (`assets`).
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

INSTALL = "pip install 'bodega[console]'"


@dataclass(frozen=True)
class Library:
    """One file of a package."""

    name: str
    """What the pages call it."""
    package: str
    path: str
    digest: str
    """SHA-256 of the file that was tested."""
    type: str = "text/javascript"
    license: str = ""

    @cached_property
    def body(self) -> bytes | None:
        """The tested bytes; None where the package is missing or carries others."""
        spec = find_spec(self.package)
        for place in (spec.submodule_search_locations or ()) if spec is not None else ():
            try:
                found = Path(place, self.path).read_bytes()
            except OSError:
                continue
            if hashlib.sha256(found).hexdigest() == self.digest:
                return found
        return None

    @cached_property
    def squeezed(self) -> bytes:
        """The body, gzipped."""
        return gzip.compress(self.body or b"", 6, mtime=0)


ECHARTS = Library(
    "echarts.js",
    "instaui_echarts",
    "static/echarts.esm.min.js",
    "28515f26aa57f87eb1e4ed4eb446927eaf329b5f5e02b4bfd4b0264fea40d1da",
    license="Apache ECharts 6.1.0, Apache-2.0",
)
TABULATOR = Library(
    "tabulator.js",
    "js_lib_tabulator",
    "static/tabulator/js/tabulator_esm.min.mjs",
    "22663ccc1d876118f5ac113d14d21bc20b69b2914f290933fff4ebf0de370805",
    license="Tabulator 6.3.1, MIT",
)
TABULATOR_STYLE = Library(
    "tabulator.css",
    "js_lib_tabulator",
    "static/tabulator/css/tabulator_simple.min.css",
    "8a7431ff86fa6aa02943b70470df77fa7094e7eac9f2420b6780c6970c7345eb",
    type="text/css",
    license="Tabulator 6.3.1, MIT",
)
LIBRARIES = {each.name: each for each in (ECHARTS, TABULATOR, TABULATOR_STYLE)}


def missing() -> list[str]:
    """Packages that are not installed, or whose files are not the tested ones' (their path is there, not the bytes)."""
    return sorted({each.package for each in LIBRARIES.values() if not _there(each)})


def _there(library: Library) -> bool:
    spec = find_spec(library.package)
    places = (spec.submodule_search_locations or ()) if spec is not None else ()
    return any(Path(place, library.path).is_file() for place in places)
